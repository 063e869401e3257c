"""Tables as other programs write them: separators, decimal commas, no names of columns, arrays in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litspike import SettingError, UserError
from litspike.data import Arrays

VALUES = np.random.default_rng(0).normal(size=(40, 2)).round(2)
KINDS = [("cat", "dog")[i % 2] for i in range(40)]


def lines(separator: str, decimal: str, header: bool = True) -> str:
    rows = [
        [*(str(value).replace(".", decimal) for value in row), kind] for row, kind in zip(VALUES, KINDS, strict=True)
    ]
    return "\n".join(separator.join(row) for row in ([["a", "b", "label"]] if header else []) + rows)


@pytest.mark.parametrize(
    ("separator", "decimal", "header", "settings"),
    [
        (";", ",", True, {"separator": ";", "decimal": ","}),
        ("\t", ".", True, {"separator": "tab"}),
        ("|", ",", False, {"separator": "|", "decimal": ",", "header": False, "label": "2"}),
        (",", ".", False, {"header": False, "label": "2"}),
    ],
)
def test_each_form_gives_the_same_samples(
    tmp_path: Path, separator: str, decimal: str, header: bool, settings: dict[str, Any]
):
    (tmp_path / "plain.csv").write_text(lines(",", "."))
    (tmp_path / "other.csv").write_text("\ufeff" + lines(separator, decimal, header), encoding="utf-8")
    expected = Arrays(str(tmp_path / "plain.csv"), scaling=None).dataset("train").tensors
    found = Arrays(str(tmp_path / "other.csv"), scaling=None, **settings).dataset("train").tensors
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_thousands_separator_is_no_number(tmp_path: Path):
    (tmp_path / "a.csv").write_text("a;label\n" + "\n".join(f"1.23{i % 10},5;{i % 2}" for i in range(40)))
    with pytest.raises(UserError, match=r"a\.csv, line 2, column 'a' has '1\.230,5', which is no number"):
        Arrays(str(tmp_path / "a.csv"), separator=";", decimal=",").setup("fit")


def test_the_columns_of_an_npy_file_are_called_by_their_numbers_or_names(tmp_path: Path):
    table = np.column_stack([VALUES, np.arange(40) % 2])
    np.save(tmp_path / "a.npy", table)
    named = np.array([tuple(row) for row in table], [("a", float), ("b", float), ("label", int)])
    np.save(tmp_path / "b.npy", named)
    first = Arrays(str(tmp_path / "a.npy"), label="2", scaling=None).dataset("train").tensors[0]
    second = Arrays(str(tmp_path / "b.npy"), scaling=None).dataset("train").tensors[0]
    np.testing.assert_array_equal(first, second)
    assert first.shape[1] == 2


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 4, 5)), "the shape [3, 4, 5] is no table; save x and y together with numpy.savez"),
        (np.zeros((0, 4)), "is empty"),
        (np.array([{}], object), "is damaged or no .npy file of numbers"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, array: np.ndarray, said: str):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(UserError) as caught:
        Arrays(str(tmp_path / "a.npy"), label="0").setup("fit")
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", ["csv", "npz", "npy"])
def test_classes_that_are_numbers_may_be_names(tmp_path: Path, kind: str):
    classes = np.array([(-1, 1, 5)[i % 3] for i in range(60)])
    x, path, label = np.arange(60.0)[:, None], tmp_path / f"a.{kind}", "label"
    if kind == "npz":
        np.savez(path, x=x, y=classes)
    elif kind == "npy":
        np.save(path, np.column_stack([x, classes]))
        label = "1"
    else:
        path.write_text("a,label\n" + "\n".join(f"{i},{c}" for i, c in enumerate(classes)))
    data = Arrays(str(path), label=label, classes="names")
    data.setup("fit")
    assert data.class_names == ["-1", "1", "5"]
    assert data.dataset("train").tensors[1].unique().tolist() == [0, 1, 2]


def test_a_decimal_comma_needs_another_separator(tmp_path: Path):
    with pytest.raises(SettingError, match=r"decimal: ',' separates the columns too: set data\.separator"):
        Arrays(str(tmp_path / "a.csv"), decimal=",")

"""Time series in .ts files: what is read is what stands there, and what is wrong is named by its line."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from litspike import SettingError, UserError
from litspike.data import Arrays
from litspike.data.ts import read_ts
from litspike.installation import file_of

HEADER = "# a comment\n@problemName mine\n@timeStamps false\n@univariate false\n@classLabel true cat dog\n@data\n"
needs_aeon = pytest.mark.skipif(
    importlib.util.find_spec("aeon") is None, reason="its series: pip install --no-deps aeon"
)


def written(folder: Path, text: str, name: str = "mine.ts") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_features_steps_lengths_and_names_are_those_of_the_file(tmp_path: Path):
    path = written(tmp_path, f"{HEADER}1,2,3:4,5,6:dog\n\n7.5,-8e1:9,10:cat\n")
    part = read_ts(path)
    np.testing.assert_array_equal(part.x, [[[1, 4], [2, 5], [3, 6]], [[7.5, 9], [-80, 10], [0, 0]]])
    assert part.lengths is not None
    assert part.lengths.tolist() == [3, 2]
    assert part.labels.tolist() == [["dog"], ["cat"]]
    assert part.place(1) == f"{path}, line 9"


def test_targets_are_numbers_and_series_without_labels_have_none(tmp_path: Path):
    part = read_ts(written(tmp_path, "@timestamps false\n@targetlabel true\n@data\n1,2:0.5\n3,4:-7\n"))
    assert (part.labels.tolist(), part.lengths, part.named) == ([[0.5], [-7.0]], None, False)
    assert read_ts(written(tmp_path, "@classLabel false\n@data\n1,2:5,6\n")).y is None


def test_a_missing_value_is_imputed_where_a_rule_is_named(tmp_path: Path):
    rows = "".join(f"{i},?,{i % 5}:{'cat' if i % 2 else 'dog'}\n" for i in range(40))
    path = written(tmp_path, HEADER + rows.replace(",?", ",1", 20))
    with pytest.raises(UserError, match=r"mine\.ts, line 27, feature 0, step 1 is NaN"):
        Arrays(str(path)).setup("fit")
    data = Arrays(str(path), missing="median", scaling=None)
    x = data.dataset("train").tensors[0]
    assert (x.shape[1:], bool(x.isfinite().all())) == (torch.Size([3, 1]), True)


def test_classes_that_look_like_numbers_are_names(tmp_path: Path):
    rows = "".join(f"{i},{i % 7}:{(-1, 1)[i % 2]}\n" for i in range(40))
    data = Arrays(str(written(tmp_path, HEADER.replace("cat dog", "-1 1") + rows)))
    data.setup("fit")
    assert data.class_names == ["-1", "1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER, "mine.ts has no line of data after @data"),
        ("1,2:0\n", "mine.ts, line 1: data begin before a line that says @data"),
        ("@problemName x\n", "mine.ts has no line that says @data: is it a .ts file?"),
        (HEADER.replace("Stamps false", "Stamps true"), "mine.ts, line 3: series with time stamps are not read"),
        (HEADER.replace("true cat dog", "true"), "mine.ts, line 5: @classLabel true names no class"),
        (HEADER.replace("true cat dog", "cat"), "mine.ts, line 5: @classlabel must say true or false, not 'cat'"),
        (f"{HEADER}1,2:bird\n", "mine.ts, line 7: the class 'bird' is none that @classLabel names, cat, dog"),
        (f"{HEADER}cat\n", "mine.ts, line 7 has no series: a colon separates it from the label"),
        (f"{HEADER}1,2:3:cat\n", "mine.ts, line 7: feature 1 has 1 steps, feature 0 has 2"),
        (f"{HEADER}1:2:cat\n1:cat\n", "mine.ts, line 8 has 1 features, the first sample 2"),
        (f"{HEADER}1,x:cat\n", "mine.ts, line 7: 'x' is no number"),
        (f"{HEADER}1,1_0:cat\n", "mine.ts, line 7: '1_0' is no number"),
        (f"{HEADER}1,:cat\n", "mine.ts, line 7: a value is empty"),
        (f"{HEADER}1,inf:cat\n", "mine.ts, line 7, feature 0, step 1 is infinite"),
        ("@targetlabel true\n@data\n1:nan\n", "mine.ts, line 3: the target 'nan' is no finite number"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(tmp_path: Path, text: str, said: str):
    with pytest.raises(UserError) as caught:
        read_ts(written(tmp_path, text))
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(said)


def test_a_file_of_aeons_without_aeon_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"needs aeon.*pip install --no-deps aeon"):
        Arrays("aeon:GunPoint/GunPoint_TRAIN.ts")


@needs_aeon
def test_gunpoint_is_the_same_in_another_format():
    path = file_of("aeon:GunPoint/GunPoint_TRAIN.ts")
    assert path is not None
    expected = np.loadtxt(path.with_suffix(".tsv"))
    part = read_ts(path)
    np.testing.assert_allclose(part.x[:, :, 0], expected[:, 1:], rtol=0, atol=1e-6)
    assert [float(name) for name in part.labels[:, 0]] == expected[:, 0].tolist()


@needs_aeon
def test_the_vowels_have_the_published_sizes():
    parts = [read_ts(file_of(f"aeon:JapaneseVowels/JapaneseVowels_{name}.ts")) for name in ("TRAIN", "TEST")]  # type: ignore[arg-type]
    assert [part.x.shape for part in parts] == [(270, 26, 12), (370, 29, 12)]
    assert min(part.lengths.min() for part in parts) == 7  # type: ignore[union-attr]
    assert [len(set(part.labels[:, 0])) for part in parts] == [9, 9]


def test_series_become_images_of_one_dimension_padded_to_a_number_of_steps(tmp_path: Path):
    rows = "".join(f"{i},2,3:4,5,{i}:{'cat' if i % 2 else 'dog'}\n" for i in range(39))
    path = written(tmp_path, f"{HEADER}{rows}7,8:9,10:cat\n")
    data = Arrays(str(path), layout="channels", steps=5, scaling=None)
    x, *others = data.dataset("train").tensors
    assert (x.shape[1:], len(others)) == (torch.Size([2, 5]), 1)
    assert x[0, 0, 1:].tolist() == [2, 3, 0, 0]
    assert x[0, 1, :2].tolist() == [4, 5]
    short = Arrays(str(path), steps=5, scaling=None)
    assert set(short.dataset("train").tensors[2].tolist()) <= {2, 3}
    with pytest.raises(UserError, match=r"has sequences of 3 steps, more than 2"):
        Arrays(str(path), steps=2).dataset("train")
    (tmp_path / "table.csv").write_text("a,label\n" + "".join(f"{i},{i % 2}\n" for i in range(40)))
    with pytest.raises(SettingError, match=r"layout: 'channels' is for sequences"):
        Arrays(str(tmp_path / "table.csv"), layout="channels").dataset("train")

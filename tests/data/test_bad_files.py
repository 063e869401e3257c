"""A bad file gets one line that names file, row or key."""

from __future__ import annotations

import io
import os
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litspike import UserError
from litspike.data import Arrays

GOOD = {"x": np.zeros((20, 2)), "y": np.arange(20) % 2}


def line(path: Path, **settings: Any) -> str:
    """The one line about a file, without the folder."""
    with pytest.raises(UserError) as caught:
        Arrays(str(path), **settings).setup("fit")
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(f"{path.parent}/", "")


OUT = ": name a column that is no feature in data.ignore"
NAMES = ": set data.classes to names if labels are names"


class Malicious:
    ran = False

    def __reduce__(self) -> Any:
        return (setattr, (Malicious, "ran", True))


def ragged() -> np.ndarray:
    rows = np.empty(20, dtype=object)
    rows[:] = [[0.0] * (1 + i % 2) for i in range(20)]
    return rows


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": GOOD["x"]}, "bad.npz has no key y; it has x"),
        ({"a": GOOD["x"], "b": GOOD["y"]}, "bad.npz has no key x; it has a, b"),
        ({"train_x": GOOD["x"]}, "bad.npz has no key train_y; it has train_x"),
        ({"test_x": GOOD["x"], "test_y": GOOD["y"]}, "bad.npz has no key train_x; it has test_x, test_y"),
        ({**GOOD, "test_x": GOOD["x"]}, "bad.npz has x beside test_x: which is training?"),
        (
            {**GOOD, "x": ragged()},
            "bad.npz, key x holds Python objects, which are not opened: save numbers in rows of one length, or arrays "
            "[T, F] of numbers",
        ),
        ({**GOOD, "x": np.array([["a", "b"]] * 20)}, "bad.npz, key x holds text (<U1); it must hold numbers"),
        (
            {**GOOD, "x": np.zeros((20, 2), complex)},
            "bad.npz, key x holds complex numbers (complex128); it must hold numbers",
        ),
        (
            {**GOOD, "x": np.zeros(20)},
            "bad.npz, key x: the shape [20] is none of [N, F], [N, T, F], [N, C, H, W] and [N, T, C, H, W]",
        ),
        ({**GOOD, "x": np.zeros((20, 0))}, "bad.npz, key x: the shape [20, 0] holds no number"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "bad.npz, key x: the shape [0, 2] holds no number"),
        ({**GOOD, "y": np.zeros(19)}, "bad.npz: 20 samples in x, but 19 labels in y"),
        ({**GOOD, "y": np.array(3)}, "bad.npz, key y: the shape [] is none of [N], [N, D] and [N, T, D]"),
        (
            {**GOOD, "y": np.zeros((20, 2))},
            "bad.npz: a sample has labels of shape [2], not one label: save argmax of one-hot "
            "rows, or set data.task to multilabel for several at once",
        ),
        ({**GOOD, "x": np.where(np.arange(40).reshape(20, 2) == 7, np.nan, 0)}, "bad.npz, key x, sample 3 is NaN"),
        (
            {**GOOD, "x": np.where(np.arange(40).reshape(20, 2) == 8, -np.inf, 0)},
            "bad.npz, key x, sample 4 is infinite",
        ),
        (
            {**GOOD, "x": np.where(np.arange(40).reshape(20, 2) == 8, 1e300, 0)},
            "bad.npz, key x, sample 4: 1e+300 is too large for float32",
        ),
        ({**GOOD, "y": np.where(np.arange(20) == 5, np.nan, 0)}, "bad.npz, key y, sample 5 is NaN"),
        ({**GOOD, "y": np.zeros(20)}, "bad.npz: all 20 samples have the label 0: one class only"),
        ({**GOOD, "y": np.arange(20) % 2 + 1}, "bad.npz: labels must be 0..C−1, they start at 1: subtract 1"),
        ({**GOOD, "y": np.arange(20) % 2 * 2 - 1}, "bad.npz: labels must be 0..C−1, they start at -1: add 1"),
        ({**GOOD, "y": np.arange(20) % 2 * 2}, "bad.npz: labels go up to 2, but class 1 has no training sample"),
        ({**GOOD, "y": np.arange(20) % 2 * 20}, "bad.npz: 20 samples are fewer than the 21 classes 0..20"),
        (
            {**GOOD, "y": np.arange(20) / 2},
            "bad.npz, key y, sample 1: the label 0.5 is not an integer: set data.task to "
            "regression for targets that are numbers",
        ),
        ({"x": np.zeros((2, 2)), "y": np.arange(2)}, "test_fraction: 0.15 of 2 samples leaves the test part empty"),
        ({}, "bad.npz is empty"),
    ],
)
def test_an_npz_file(tmp_path: Path, arrays: dict[str, Any], message: str):
    np.savez(tmp_path / "bad.npz", **arrays)
    assert line(tmp_path / "bad.npz") == message


def test_pickled_objects_are_never_opened(tmp_path: Path):
    np.savez(tmp_path / "bad.npz", x=np.array([Malicious()] * 20, dtype=object), y=GOOD["y"])
    assert "holds Python objects, which are not opened" in line(tmp_path / "bad.npz")
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Malicious()))
    assert line(tmp_path / "bare.npz").startswith("bare.npz is no .npz file")
    assert not Malicious.ran


def test_a_file_that_is_missing_cut_short_or_something_else(tmp_path: Path):
    for name in ("none.npz", "none.csv"):
        assert line(tmp_path / name) == f"{name} can't be read (No such file or directory)"
    np.savez(tmp_path / "whole.npz", **GOOD)
    raw = (tmp_path / "whole.npz").read_bytes()
    for kept in (len(raw) // 2, 40, 1):
        (tmp_path / "cut.npz").write_bytes(raw[:kept])
        assert line(tmp_path / "cut.npz").startswith("cut.npz is ")
    (tmp_path / "cut.npz").write_bytes(b"")
    assert line(tmp_path / "cut.npz").startswith("cut.npz is damaged")
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, GOOD["x"])
    assert line(tmp_path / "array.npz") == "array.npz is a single array; save x and y together with numpy.savez"


def test_a_header_that_promises_more_than_memory_holds(tmp_path: Path):
    np.savez(tmp_path / "bad.npz", **GOOD)
    raw = (tmp_path / "bad.npz").read_bytes()
    place = raw.index(b"(20, 2), }")
    promised = b"(20, 9999999999999), }"
    padded = raw[:place] + promised + raw[place + len(promised) :]
    (tmp_path / "bad.npz").write_bytes(padded)
    assert line(tmp_path / "bad.npz").startswith("bad.npz")


ROWS = [f"{i}.5,{i},{i % 2}" for i in range(20)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "bad.csv is empty"),
        (["a,b,label"], "bad.csv has a line of names, but no row of values"),
        (ROWS, "bad.csv, line 1 has numbers, and no names of the columns: set data.header to false"),
        (
            ["a;b;label", *(row.replace(",", ";") for row in ROWS)],
            "bad.csv, line 1 has no ',' between columns: set data.separator to ';'",
        ),
        (["a,a,label", *ROWS], "bad.csv, line 1 names the column 'a' twice"),
        (
            ["a,b,class", *ROWS],
            "bad.csv has no column 'label'; it has 'a', 'b', 'class': set data.label to the one of the labels",
        ),
        (["label", "0", "1"], "bad.csv has no column of features beside 'label'"),
        (["a,b,label", *ROWS, "1,0"], "bad.csv, line 22 has 2 values, but 3 columns"),
        (["a,b,label", "", *ROWS, "1,0,1,7"], "bad.csv, line 23 has 4 values, but 3 columns"),
        (["a,b,label", *ROWS, "1,many,0"], "bad.csv, line 22, column 'b' has 'many', which is no number"),
        (
            ["a,b,label", "1,,0", *ROWS],
            "bad.csv, line 2, column 'b' is empty: set data.missing to mean or median to fill it",
        ),
        (["a,b,label", *ROWS, "1,2,"], "bad.csv, line 22, column 'label' is empty: take rows without a label out"),
        (
            ["a,b,label", "1,2,cat", "1,2,dog", "1,2,?"],
            "bad.csv, line 4, column 'label' has '?', which stands for a missing value: take rows without a label out",
        ),
        (["a,b,label", *ROWS, "1,2,cat"], f"bad.csv, line 22, column 'label' has 'cat', which is no number{NAMES}"),
        (["a,b,label", *ROWS, "nan,2,0"], "bad.csv, line 22, column 'a' is NaN"),
        (["a,b,label", *ROWS, "1,-inf,0"], "bad.csv, line 22, column 'b' is infinite"),
        (["a,b,label", *ROWS, "1,1e99,0"], "bad.csv, line 22, column 'b': 1e+99 is too large for float32"),
        (
            ["a,b,label", *ROWS, "1,2,0.5"],
            "bad.csv, line 22: the label 0.5 is not an integer: set data.task to "
            "regression for targets that are numbers",
        ),
        (["a,b,label", *ROWS, "1,2,3"], "bad.csv: labels go up to 3, but class 2 has no training sample"),
    ],
)
def test_a_csv_file(tmp_path: Path, rows: list[str], message: str):
    (tmp_path / "bad.csv").write_text("\n".join(rows), encoding="utf-8")
    assert line(tmp_path / "bad.csv") == message


def test_a_csv_file_that_is_no_text(tmp_path: Path):
    (tmp_path / "bad.csv").write_bytes(b"a,label\n1,0\n\xff\xfe,1\n")
    assert "is no UTF-8 text with ',' between columns: save it so" in line(tmp_path / "bad.csv")
    (tmp_path / "bad.csv").write_bytes("a,label\n1,0\n".encode("utf-16-le"))
    assert line(tmp_path / "bad.csv") == "bad.csv, line 1 is no UTF-8 text, but as UTF-16 has it: save it as UTF-8"
    (tmp_path / "bad.npz").write_bytes(b"hello")
    assert line(tmp_path / "bad.npz") == "bad.npz is no .npz file: it is no archive"


def test_a_csv_file_written_with_semicolons_and_decimal_commas(tmp_path: Path):
    rows = "".join(f"{index},5;{index}\n" for index in range(20))
    (tmp_path / "bad.csv").write_text(f"a;label\n{rows}", encoding="utf-8")
    assert line(tmp_path / "bad.csv") == "bad.csv, line 1 has no ',' between columns: set data.separator to ';'"
    assert line(tmp_path / "bad.csv", separator=";").endswith("which is no number: set data.decimal to ','")


def test_a_name_of_a_column_that_is_nearly_there_is_suggested(tmp_path: Path):
    (tmp_path / "bad.csv").write_text("a,Label\n1,0\n2,1\n", encoding="utf-8")
    assert line(tmp_path / "bad.csv").endswith("it has 'a', 'Label'; did you mean 'Label'?")


def test_a_csv_file_with_a_mark_at_its_beginning(tmp_path: Path):
    (tmp_path / "bad.csv").write_bytes("\ufeffa,label\n1,0\n2,0\n".encode())
    assert line(tmp_path / "bad.csv") == "bad.csv: all 2 samples have the label 0: one class only"


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("holdout", "bad.csv, line 5, column 'part': holdout is none of train, val, test"),
        ("", "bad.csv, line 5, column 'part':  is none of train, val, test"),
    ],
)
def test_a_split_column_that_says_something_else(tmp_path: Path, part: str, message: str):
    rows = [f"{i},{i % 2},{part if i == 3 else 'train'}" for i in range(10)]
    (tmp_path / "bad.csv").write_text("\n".join(["a,label,part", *rows]), encoding="utf-8")
    assert line(tmp_path / "bad.csv", split="part") == message
    assert line(tmp_path / "bad.csv", split="fold") == "bad.csv has no column 'fold'; it has 'a', 'label', 'part'"


def test_a_split_column_without_training_rows(tmp_path: Path):
    (tmp_path / "bad.csv").write_text("a,label,part\n1,0,test\n2,1,val\n", encoding="utf-8")
    assert line(tmp_path / "bad.csv", split="part") == "bad.csv, column 'part' says train in no row"


def test_rows_that_the_steps_do_not_divide(tmp_path: Path):
    (tmp_path / "bad.csv").write_text("\n".join(["a,b,label", *ROWS]), encoding="utf-8")
    assert line(tmp_path / "bad.csv", steps=3) == "bad.csv: 2 values a sample can't be cut into 3 steps"


def test_an_ignored_column_that_is_not_there(tmp_path: Path):
    (tmp_path / "bad.csv").write_text("\n".join(["a,b,label", *ROWS]), encoding="utf-8")
    assert line(tmp_path / "bad.csv", ignore=["id"]) == "bad.csv has no column 'id'; it has 'a', 'b', 'label'"


def test_targets_of_other_steps_than_their_samples(tmp_path: Path):
    np.savez(tmp_path / "bad.npz", x=np.zeros((20, 5, 2)), y=np.zeros((20, 4, 1)))
    message = "bad.npz has targets of 4 steps, but samples of 5 steps"
    assert line(tmp_path / "bad.npz", task="regression") == message


def test_a_part_that_is_given_twice(tmp_path: Path):
    np.savez(tmp_path / "bad.npz", train_x=GOOD["x"], train_y=GOOD["y"], val_x=GOOD["x"], val_y=GOOD["y"])
    np.savez(tmp_path / "val.npz", **GOOD)
    message = "val_path: bad.npz has a val part already"
    assert line(tmp_path / "bad.npz", val_path=str(tmp_path / "val.npz")) == message
    np.savez(tmp_path / "good.npz", **GOOD)
    message = "val_path: bad.npz has parts of its own; it needs the keys x and y"
    assert line(tmp_path / "good.npz", val_path=str(tmp_path / "bad.npz")) == message


def test_parquet_without_pandas_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    assert line(tmp_path / "a.parquet") == "A .parquet file needs pandas: pip install -e '.[data]'"


class TestParquet:
    @pytest.fixture(autouse=True)
    def _needs_pandas(self):
        pytest.importorskip("pandas", reason="pandas, of litspike[data], is not installed")
        pytest.importorskip("pyarrow", reason="pyarrow, of litspike[data], is not installed")

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"a": ["x"] * 4}, f"bad.parquet, row 0, column 'a' has 'x', which is no number{OUT}"),
            ({"a": [1, 2, None, 4]}, "bad.parquet, row 2, column 'a' is NaN"),
            ({"a": [[1], [2, 3], [4], [5]]}, f"bad.parquet, row 0, column 'a' has '[1]', which is no number{OUT}"),
            (
                {"a": np.array(["2020-01-01"] * 4, "datetime64[s]")},
                f"bad.parquet, row 0, column 'a' has '2020-01-01 00:00:00', which is no number{OUT}",
            ),
            ({}, "bad.parquet has no column of features beside 'label'"),
        ],
    )
    def test_a_parquet_file(self, tmp_path: Path, columns: dict[str, Any], message: str):
        import pandas

        pandas.DataFrame({**columns, "label": [0, 1, 0, 1]}).to_parquet(tmp_path / "bad.parquet")
        assert line(tmp_path / "bad.parquet") == message

    def test_a_parquet_file_that_is_missing_empty_or_none(self, tmp_path: Path):
        import pandas

        assert line(tmp_path / "none.parquet") == "none.parquet can't be read (No such file or directory)"
        (tmp_path / "bad.parquet").write_bytes(b"nonsense")
        assert line(tmp_path / "bad.parquet").startswith("bad.parquet is damaged or no .parquet file")
        pandas.DataFrame({"a": [], "label": []}).to_parquet(tmp_path / "bad.parquet")
        assert line(tmp_path / "bad.parquet") == "bad.parquet is empty"


@pytest.mark.parametrize("cell", ["1_0", "１０", "0x1f", "1,5", "--1", "1e", "٣"])
def test_a_cell_that_python_or_another_country_takes_for_a_number(tmp_path: Path, cell: str):
    rows = "".join(f"{index}.5,{index % 2}\n" for index in range(20))
    (tmp_path / "bad.csv").write_text(f'a,label\n"{cell}",1\n{rows}', encoding="utf-8")
    remedy = ": set data.decimal to ','" if cell == "1,5" else ""
    assert line(tmp_path / "bad.csv") == f"bad.csv, line 2, column 'a' has {cell!r}, which is no number{remedy}"


@pytest.mark.parametrize("setting", ["val_path", "test_path"])
def test_a_part_is_no_other_parts_file(tmp_path: Path, setting: str):
    np.savez(tmp_path / "a.npz", **GOOD)
    (tmp_path / "b.npz").symlink_to(tmp_path / "a.npz")
    for own in ("a.npz", "b.npz"):
        message = f"{setting}: '{own}' is the file of path too: a part needs samples of its own"
        assert line(tmp_path / "a.npz", **{setting: str(tmp_path / own)}) == message
    np.savez(tmp_path / "c.npz", **GOOD)
    both = {"val_path": str(tmp_path / "c.npz"), "test_path": str(tmp_path / "c.npz")}
    assert line(tmp_path / "a.npz", **both).startswith("test_path: 'c.npz' is the file of val_path too")


def test_validation_on_a_copy_of_the_training_samples(tmp_path: Path):
    x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    np.savez(tmp_path / "a.npz", train_x=x, train_y=y, val_x=x, val_y=y, test_x=x[:4], test_y=y[:4])
    assert line(tmp_path / "a.npz").startswith("a.npz: the samples for validation are those of training")


def test_what_is_no_plain_file(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo.npz")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    assert line(tmp_path / "fifo.npz") == "path: 'fifo.npz' is no file"
    assert line(tmp_path / "folder.csv") == "path: 'folder.csv' is no file"
    assert line(tmp_path / "loop.csv").startswith("loop.csv can't be read")


def test_a_file_whose_header_asks_for_more_than_there_is(tmp_path: Path):
    """A header that promises 10¹⁵ numbers, and an archive that holds a gigabyte of zeros."""
    for shape in ((10**15, 2), (2**62, 2**62), (-1, 2)):
        with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
            for key, dimensions in {"x": shape, "y": (20,)}.items():
                head = io.BytesIO()
                header = {"descr": "<f8", "fortran_order": False, "shape": dimensions}
                np.lib.format.write_array_header_1_0(head, header)
                archive.writestr(f"{key}.npy", head.getvalue() + b"\0" * 160)
        assert line(tmp_path / "bad.npz").startswith("bad.npz")

"""The user's own data as people have them: names for labels, missing values, images, several labels, new rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from litspike import SettingError, UserError
from litspike.data import Arrays

PARTS = ("train", "val", "test")


def write(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def part(data: Arrays, name: str) -> tuple[torch.Tensor, ...]:
    return data.dataset(name).tensors


def refused(data: Arrays, name: str = "train") -> str:
    with pytest.raises(UserError) as caught:
        data.dataset(name)
    return str(caught.value)


def test_names_of_classes_become_numbers_in_their_order(tmp_path: Path):
    names = ("wolf", "cat", "dog")
    data = Arrays(write(tmp_path / "a.csv", "a,label", *(f"{i},{names[i % 3]}" for i in range(60))), scaling=None)
    assert data.class_names == ["cat", "dog", "wolf"]
    for name in PARTS:
        x, y = part(data, name)
        assert y.dtype == torch.int64
        assert [data.class_names[label] for label in y] == [names[int(value) % 3] for value in x[:, 0]]


def test_names_in_an_npz_file_are_those_of_the_same_table(tmp_path: Path):
    x, names = np.arange(40.0)[:, None], np.array(["b", "a"] * 20)
    np.savez(tmp_path / "a.npz", x=x, y=names)
    table = write(tmp_path / "a.csv", "a,label", *(f"{value},{name}" for (value,), name in zip(x, names, strict=True)))
    for name in PARTS:
        ours, theirs = part(Arrays(str(tmp_path / "a.npz")), name), part(Arrays(table), name)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_name_that_training_does_not_have_is_refused_with_its_line(tmp_path: Path):
    train = write(tmp_path / "a.csv", "a,label", *(f"{i},{'ab'[i % 2]}" for i in range(20)))
    test = write(tmp_path / "t.csv", "a,label", "1,a", "2,c")
    said = refused(Arrays(train, test_path=test), "test")
    assert said.endswith("t.csv, line 3: the label c is none of training's, 'a', 'b'")


@pytest.mark.parametrize("cell", ["", "NA", "nan", "?"])
@pytest.mark.parametrize(("missing", "value"), [("mean", 4.0), ("median", 3.0)])
def test_a_missing_value_becomes_that_of_the_training_part(tmp_path: Path, cell: str, missing: Any, value: float):
    rows = [f"{a},{i % 2},train" for i, a in enumerate((1, 2, 4, 9))] + [f"{cell},0,train", f"{cell},1,val", "3,0,test"]
    path = write(tmp_path / "a.csv", "a,label,part", *rows)
    data = Arrays(path, split="part", missing=missing, scaling=None)
    assert part(data, "train")[0].flatten().tolist() == [1, 2, 4, 9, value]
    assert part(data, "val")[0].tolist() == [[value]]
    assert "line 6, column 'a'" in refused(Arrays(path, split="part"))


def test_a_missing_label_or_a_feature_without_any_value_is_refused(tmp_path: Path):
    rows = [f"{i},,{i % 2}" for i in range(20)]
    path = write(tmp_path / "a.csv", "a,b,label", *rows)
    assert refused(Arrays(path, missing="mean")).endswith("the feature 'b' has no value in training")
    path = write(tmp_path / "b.csv", "a,label", *(f"{i},{i % 2}" for i in range(20)), "3,")
    assert "line 22, column 'label' is empty" in refused(Arrays(path, missing="mean"))


def test_a_unit_scaling_puts_training_into_zero_to_one_and_clips_the_rest(tmp_path: Path):
    rows = [f"{i},7,{i % 2},train" for i in range(11)] + ["-5,7,0,val", "5,7,0,test", "99,8,1,test"]
    data = Arrays(write(tmp_path / "a.csv", "a,c,label,part", *rows), split="part", scaling="unit")
    assert part(data, "train")[0][:, 0].tolist() == pytest.approx([i / 10 for i in range(11)])
    assert (part(data, "train")[0][:, 1] == 0).all()
    assert part(data, "val")[0].tolist() == [[0, 0]]
    assert part(data, "test")[0].tolist() == [[0.5, 0], [1, 1]]


def test_images_are_scaled_by_channel(tmp_path: Path):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 2, 5, 4)) * np.array([1, 30])[:, None, None] + 7
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(60) % 3)
    train = part(Arrays(str(tmp_path / "a.npz")), "train")[0]
    assert train.shape[1:] == (2, 5, 4)
    assert train.mean((0, 2, 3)).abs().max() < 1e-5
    assert torch.allclose(train.std((0, 2, 3), correction=0), torch.ones(2), atol=1e-4)


def pictures(folder: Path, classes: tuple[str, ...], each: int, mode: str = "L", size: tuple[int, int] = (6, 4)) -> str:
    for index, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            Image.new(mode, size, 10 * index + number).save(folder / name / f"{number}.png")
    (folder / "notes.txt").write_text("no image")
    return str(folder)


def test_a_folder_of_images_has_a_class_for_each_folder(tmp_path: Path):
    data = Arrays(pictures(tmp_path / "all", ("cat", "dog", "emu"), 10), scaling=None)
    assert data.class_names == ["cat", "dog", "emu"]
    seen = []
    for name in PARTS:
        x, y = part(data, name)
        assert x.shape[1:] == (1, 4, 6)
        assert ((x[:, 0, 0, 0] // 10).long() == y).all()
        seen += x[:, 0, 0, 0].tolist()
    assert sorted(seen) == list(range(30))


def test_folders_of_parts_are_the_parts(tmp_path: Path):
    for index, name in enumerate(PARTS):
        pictures(tmp_path / "all" / name, ("a", "b"), index + 1)
    data = Arrays(str(tmp_path / "all"), scaling=None)
    assert [len(part(data, name)[1]) for name in PARTS] == [2, 4, 6]


def test_images_of_several_sizes_are_named_or_brought_to_one(tmp_path: Path):
    folder = pictures(tmp_path / "all", ("a", "b"), 5)
    Image.new("RGB", (9, 9), (1, 2, 3)).save(tmp_path / "all" / "b" / "x.png")
    assert refused(Arrays(folder)).endswith("x.png has 9 × 9 pixels, 0.png 4 × 6: set data.image_size to one size")
    assert part(Arrays(folder, image_size=[8, 3]), "train")[0].shape[1:] == (3, 8, 3)  # one has colours
    (tmp_path / "all" / "a" / "y.png").write_bytes(b"no image")
    assert "y.png is damaged or no image" in refused(Arrays(folder, image_size=[8, 3]))
    (tmp_path / "empty").mkdir()
    assert "has no images: put those of each class into a folder" in refused(Arrays(str(tmp_path / "empty")))


def test_several_labels_are_a_row_of_zeros_and_ones(tmp_path: Path):
    rows = [f"{i},{i % 2},{i // 2 % 2},{i // 4 % 2}" for i in range(40)]
    path = write(tmp_path / "a.csv", "a,u,v,w", *rows)
    data = Arrays(path, task="multilabel", label=["u", "v", "w"], scaling=None)
    x, y = part(data, "train")
    i = x[:, 0].long()
    assert torch.equal(y, torch.stack([i % 2, i // 2 % 2, i // 4 % 2], 1).float())
    assert data.class_names == ["u", "v", "w"]
    numbers = Arrays(path, task="regression", label=["u", "v", "w"])
    assert (numbers.class_names, numbers.target_names) == ([], ["u", "v", "w"])
    with pytest.raises(SettingError, match="names a column twice"):
        Arrays(path, task="multilabel", label=["u", "v", "u"])
    wrong = write(tmp_path / "b.csv", "a,u,v", *(f"{i},{i % 2},{i % 3}" for i in range(20)))
    assert "must be 0 or 1" in refused(Arrays(wrong, task="multilabel", label=["u", "v"]))


def test_rows_of_an_npz_file_are_shown_as_they_are_there(tmp_path: Path):
    x = np.arange(80).reshape(40, 2)
    np.savez(tmp_path / "a.npz", x=x, y=np.array(["no", "yes"])[x[:, 0] // 2 % 2])
    given = Arrays(str(tmp_path / "a.npz")).given_columns()
    assert given["x0"] == [2 * sample for sample in given["sample"]]
    assert given["x1"] == [2 * sample + 1 for sample in given["sample"]]
    assert given["y"] == [("no", "yes")[sample % 2] for sample in given["sample"]]


def test_a_gap_that_training_has_no_rule_for_is_refused_with_its_line(tmp_path: Path):
    train = write(tmp_path / "a.csv", "a,label", *(f"{i},{i % 2}" for i in range(20)))
    new = write(tmp_path / "new.csv", "a", "1", "NA")
    fitted = Arrays(train)
    part(fitted, "train")
    data = Arrays(train, test_path=new, missing="mean")
    data.load_state_dict(fitted.state_dict())
    assert refused(data, "predict").endswith(
        "new.csv, line 3 has a value that is missing; what replaces it is learned in training: fit with data.missing "
        "mean or median"
    )


def test_new_rows_without_labels_are_taken_by_the_names_of_their_columns(tmp_path: Path):
    train = write(tmp_path / "a.csv", "id,a,b,label", *(f"x{i},{i},{-i},{i % 2}" for i in range(20)))
    new = write(tmp_path / "new.csv", "b,note,a", "-3,first,2", "5,,1")
    data = Arrays(train, ignore=["id"], test_path=new, scaling=None)
    x, y = part(data, "predict")
    assert x.tolist() == [[2, -3], [1, 5]]
    assert y.shape == (2, 0)
    assert data.given_columns() == {"b": ["-3", "5"], "note": ["first", ""], "a": ["2", "1"]}
    assert refused(data, "test").endswith("new.csv has no column 'id'; it has 'b', 'note', 'a'")
    known = write(tmp_path / "known.csv", "a,b,label", "2,-3,5", "1,5,")
    assert part(Arrays(train, ignore=["id"], test_path=known), "predict")[1].shape == (2, 0)  # its labels aren't read
    fewer = write(tmp_path / "fewer.csv", "b", "1")
    assert refused(Arrays(train, ignore=["id"], test_path=fewer), "predict").endswith("has no column 'a'; it has 'b'")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"scaling": "wide"}, "scaling: 'wide' is none of standard, unit"),
        ({"missing": "zero"}, "missing: 'zero' is none of refuse, mean, median"),
        ({"image_size": [3]}, r"image_size: \[3\] must be height and width"),
        ({"length": "n"}, "length: 'n' needs steps"),
    ],
)
def test_settings_outside_their_range_are_refused(settings: dict[str, Any], said: str):
    with pytest.raises(SettingError, match=said):
        Arrays("a.csv", **settings)

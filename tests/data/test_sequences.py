"""Sequences of different lengths in files of one's own: three ways to save them, one way that they come out."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from litspike import UserError
from litspike.data import Arrays

SAMPLES = 40
DRAW = np.random.default_rng(0)
LENGTHS = DRAW.integers(3, 9, SAMPLES)
ROWS = [DRAW.normal(size=(length, 2)) + 5 for length in LENGTHS]
LABELS = np.arange(SAMPLES) % 2


def ragged(rows: list[np.ndarray] = ROWS) -> np.ndarray:
    x = np.empty(SAMPLES, object)
    x[:] = rows
    return x


def padded(fill: float) -> np.ndarray:
    x = np.full((SAMPLES, 8, 2), fill)
    for row, values in zip(x, ROWS, strict=True):
        row[: len(values)] = values
    return x


def table(path: Path) -> Path:
    names = [f"{feature}{step}" for step in range(8) for feature in "ab"]
    lines = [",".join([*names, "n", "label"])]
    for values, length, label in zip(ROWS, LENGTHS, LABELS, strict=True):
        cells = [*map(repr, values.flatten().tolist()), *[""] * (16 - 2 * len(values))]
        lines.append(",".join([*cells, str(length), str(label)]))
    path.write_text("\n".join(lines))
    return path


def files(folder: Path) -> dict[str, Arrays]:
    arrays: dict[str, dict[str, Any]] = {
        "ragged": {"x": ragged()},
        "padded": {"x": padded(99.0), "lengths": LENGTHS},
        "padded with NaN": {"x": padded(np.nan), "lengths": LENGTHS},
        "joined": {"x": np.concatenate(ROWS), "lengths": LENGTHS},
    }
    made = {}
    for name, content in arrays.items():
        np.savez(folder / f"{name}.npz", y=LABELS, **content)
        made[name] = Arrays(str(folder / f"{name}.npz"), scaling=None)
    return {**made, "table": Arrays(str(table(folder / "t.csv")), steps=8, length="n", scaling=None)}


def test_each_way_to_save_them_gives_the_same_samples_and_lengths(tmp_path: Path):
    for name, data in files(tmp_path).items():
        seen = []
        for part in ("train", "val", "test"):
            x, _, lengths = data.dataset(part).tensors
            inside = torch.arange(8) < lengths[:, None]
            assert (x[~inside] == 0).all(), name
            seen += [sample[:length].numpy() for sample, length in zip(x, lengths, strict=True)]
        expected = sorted(ROWS, key=lambda row: float(row[0, 0]))
        for ours, theirs in zip(sorted(seen, key=lambda row: float(row[0, 0])), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("scaling", ["standard", "unit"])
def test_they_are_scaled_by_the_steps_inside_and_end_in_zeros(tmp_path: Path, scaling: Any):
    np.savez(tmp_path / "a.npz", x=padded(1e6), y=LABELS, lengths=LENGTHS)
    x, _, lengths = Arrays(str(tmp_path / "a.npz"), scaling=scaling).dataset("train").tensors
    inside = torch.arange(8) < lengths[:, None]
    assert (x[~inside] == 0).all()
    low, high = x[inside].aminmax(dim=0)
    if scaling == "unit":
        assert (low.tolist(), high.tolist()) == ([0, 0], [1, 1])
    else:
        assert x[inside].mean(0).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"x": padded(0), "lengths": LENGTHS + 1}, "40 lengths up to 9 don't suit x [40, 8, 2]"),
        ({"x": padded(0), "lengths": LENGTHS[:-1]}, "39 lengths up to 8 don't suit x [40, 8, 2]"),
        ({"x": padded(0), "lengths": LENGTHS * (LENGTHS < 8)}, f"key x, sample {np.argmax(LENGTHS)} has 0 steps"),
        ({"x": ragged([*ROWS[:4], ROWS[4][:0], *ROWS[5:]])}, "key x, sample 4 has 0 steps; a sequence has 1 or more"),
        ({"x": padded(0), "lengths": LENGTHS[:, None]}, "key lengths: the shape [40, 1] is not [N]"),
        (
            {"x": padded(0), "lengths": LENGTHS - 0.5},
            f"key lengths, sample 0: {LENGTHS[0] - 0.5} is no number of steps",
        ),
        ({"x": padded(np.nan), "lengths": LENGTHS + (LENGTHS < 8)}, "is NaN"),
    ],
)
def test_lengths_that_do_not_suit_are_refused(tmp_path: Path, content: dict[str, Any], said: str):
    np.savez(tmp_path / "a.npz", y=LABELS, **content)
    with pytest.raises(UserError) as caught:
        Arrays(str(tmp_path / "a.npz")).setup("fit")
    assert said in str(caught.value)


def test_sequences_of_other_features_and_a_row_with_a_gap_are_named(tmp_path: Path):
    x = ragged()
    x[7] = np.zeros((4, 3))
    np.savez(tmp_path / "a.npz", x=x, y=LABELS)
    with pytest.raises(UserError, match=r"a sequence is \[4, 3\]; each must be \[T, F\] with the same F"):
        Arrays(str(tmp_path / "a.npz")).setup("fit")
    path = table(tmp_path / "t.csv")
    lines = path.read_text().splitlines()
    lines[3] = "," + lines[3].split(",", 1)[1]
    path.write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"t\.csv, line 4, step 0 has a value that is missing"):
        Arrays(str(path), steps=8, length="n").setup("fit")
    lines[3] = ",".join([*lines[3].split(",")[:-2], "9", "0"])
    path.write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"t\.csv, line 4: the length 9 is not from 1 to 8"):
        Arrays(str(path), steps=8, length="n").setup("fit")


class Malicious:
    ran = False

    def __reduce__(self) -> Any:
        return (setattr, (Malicious, "ran", True))


@pytest.mark.parametrize("place", ["first", "last"])
def test_an_array_of_arrays_is_read_without_running_what_else_is_in_it(tmp_path: Path, place: str):
    x = ragged()
    Malicious.ran = False
    x[0 if place == "first" else -1] = Malicious()
    np.savez(tmp_path / "a.npz", x=x, y=LABELS)
    with pytest.raises(UserError, match="holds Python objects, which are not opened"):
        Arrays(str(tmp_path / "a.npz")).setup("fit")
    assert not Malicious.ran
    assert pickle.loads(pickle.dumps(Malicious())) is None
    assert Malicious.ran, "the trap works"

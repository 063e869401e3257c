"""The page on the user's own data: each of its commands runs, in its order, on a file of the kind that it names."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PROJECT, Cli, runs
from tests.docs.pages import blocks

PAGE = PROJECT / "docs" / "your-own-data.md"
QUICK = "--trainer.max_epochs 1 --pictures.every 0 --console.epochs false"
ROWS = 40


def files(folder: Path) -> None:
    """What the page names, of little."""
    draw = np.random.default_rng(0)
    values = draw.normal(size=(ROWS, 3)).round(2)
    tables = {
        "flowers": (
            "id,long,wide,high,kind",
            [[f"n{i}", *row, ("rose", "lily")[i % 2]] for i, row in enumerate(values)],
        ),
        "houses": ("rooms,size,age,price", [[*row, round(3 * row[0] - row[1], 2)] for row in values]),
        "photos": ("a,b,c,red,big", [[*row, i % 2, i // 2 % 2] for i, row in enumerate(values)]),
        "new": ("id,long,wide,high", [[f"m{i}", *row] for i, row in enumerate(values[:7])]),
    }
    for name, (header, rows) in tables.items():
        (folder / f"{name}.csv").write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]))
    np.savez(folder / "walks.npz", x=draw.normal(size=(ROWS, 6, 2)), y=np.arange(ROWS) % 3)
    np.savez(folder / "letters.npz", x=draw.normal(size=(ROWS, 1, 8, 8)), y=np.arange(ROWS) % 3)
    for part, number in (("TRAIN", ROWS), ("TEST", 8)):
        series = "\n".join(f"{i % 7},2,{i % 3}:{1 + i % 2}" for i in range(number))
        (folder / f"gestures_{part}.ts").write_text(f"@classLabel true 1 2\n@data\n{series}\n")
    for index in range(30):
        place = folder / ("unknown" if index >= 24 else f"pictures/{('cats', 'dogs')[index % 2]}")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (8, 8)).astype(np.uint8)).save(place / f"{index}.png")


@pytest.mark.slow
def test_each_command_runs_and_predictions_have_every_row_as_it_was(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    files(home)
    lines = [line for block in blocks(PAGE) for line, _ in block.commands()]
    found = [shlex.split(line, comments=True)[1:] for line in lines]
    assert {words[0] for words in found} == {"new", "fit", "test", "predict"}
    for words in found:
        result = cli(shlex.join(words) + (f" {QUICK}" if words[0] == "fit" else ""))
        assert (result.status, result.err) == (0, "")
    (run,) = runs(home, "flowers")
    rows = list(csv.DictReader((run / "predictions.csv").open()))
    given = list(csv.DictReader((home / "new.csv").open()))
    assert [{name: row[name] for name in given[0]} for row in rows] == given
    assert {row["class"] for row in rows} <= {"rose", "lily"}
    (run,) = runs(home, "pictures")
    answers = list(csv.DictReader((run / "predictions.csv").open()))
    assert [row["file"] for row in answers] == sorted(f"{index}.png" for index in range(24, 30))
    assert {row["class"] for row in answers} <= {"cats", "dogs"}

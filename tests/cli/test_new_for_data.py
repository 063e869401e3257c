"""``new --data FILE`` finds what a file holds, and the configuration that it writes fits as it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from litspike.cli import main
from tests.conftest import PROJECT, runs

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(90, 3)).round(2)
NAMES = ("rot", "grün", "blau")
WIDE = [f"f{index}" for index in range(1000)]
QUICK = "--trainer.max_epochs 1 --pictures.every 0 --console.epochs false"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def text(rows: list[list[Any]], header: str | None, separator: str = ",", decimal: str = ".") -> str:
    lines = [separator.join(str(v).replace(".", decimal) for v in row) for row in rows]
    return "\n".join([*([header] if header else []), *lines]) + "\n"


def written(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def data_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = written(name)["data"]["init_args"]
    return found


GERMAN = text([[i + 1, *row, NAMES[i % 3]] for i, row in enumerate(X)], "Nr;Länge;Breite;Höhe;Sorte", ";", ",")
MIXED = [
    [f"n{i}", f"{1 + i % 28}.3.2023", *row[:2], "" if i % 9 == 4 else row[2], 7, NAMES[i % 2], round(3 * row[0], 2)]
    for i, row in enumerate(X)
]


@pytest.mark.parametrize(
    ("content", "expected", "sizes"),
    [
        (
            "\ufeff" + GERMAN,
            {"separator": ";", "decimal": ",", "label": "Sorte", "ignore": ["Nr"]},
            [3, 16, 3],
        ),
        (text([[*row, i % 2] for i, row in enumerate(X)], "a\tb\tc\tclass", "\t"), {"separator": "tab"}, [3, 16, 1]),
        (text([[*row, NAMES[i % 3]] for i, row in enumerate(X)], None), {"header": False, "label": "3"}, [3, 16, 3]),
        (
            text(MIXED, "name,when,a,b,c,constant,colour,price"),
            {
                "task": "regression",
                "label": "price",
                "missing": "median",
                "ignore": ["name", "when", "constant", "colour"],
            },
            [3, 16, 1],
        ),
        (
            text([[*row, i % 3 + 1] for i, row in enumerate(X)], "a,b,c,grade"),
            {"label": "grade", "classes": "names"},
            [3, 16, 3],
        ),
        (
            text([[*row, i % 2, i % 3 // 2] for i, row in enumerate(X)], "a,b,c,label_u,label_v"),
            {"task": "multilabel", "label": ["label_u", "label_v"]},
            [3, 16, 2],
        ),
        (
            text([[*DRAW.normal(size=1000).round(1), i % 2] for i in range(40)], ",".join([*map(str, WIDE), "y"])),
            {"label": "y"},
            [1000, 16, 1],
        ),
    ],
    ids=["german", "tabs", "no names", "mixed", "classes from 1", "several labels", "wide"],
)  # fmt: skip
def test_an_odd_table_gets_what_suits_it_and_fits(
    empty: Path, content: str, expected: dict[str, Any], sizes: list[int], capsys: pytest.CaptureFixture[str]
):
    (empty / "my.csv").write_text(content, encoding="utf-8")
    label = ["--label", "price"] if expected.get("label") == "price" else []
    assert main(["new", "--data", "my.csv", *label]) == 0
    found = data_of("my")
    assert {name: found[name] for name in expected} == expected
    assert not set(found) - set(expected) - {"path", "label", "scaling", "batch_size"}
    assert written("my")["model"]["init_args"]["network"]["init_args"]["sizes"] == sizes
    assert main(f"fit -c my {QUICK}".split()) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_arrays_sequences_and_images_get_networks_of_their_kind(empty: Path, capsys: pytest.CaptureFixture[str]):
    np.save("flat.npy", np.column_stack([X, X[:, 0] > 0]))
    np.savez("sequences.npz", x=DRAW.normal(size=(40, 9, 2)), y=np.arange(40) % 3 + 1)
    np.savez("steps.npz", x=DRAW.normal(size=(40, 9, 2)), y=DRAW.normal(size=(40, 9, 1)))
    for index in range(20):
        folder = empty / "pictures" / ("cats", "dogs")[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(DRAW.integers(0, 255, (8 + index % 3, 9)).astype(np.uint8)).save(folder / f"{index}.png")
    for part, number in (("TRAIN", 20), ("TEST", 6)):
        series = "\n".join(f"{i},{i % 3},1:{i % 2}" for i in range(number))
        Path(f"own_{part}.ts").write_text(f"@classLabel true 0 1\n@data\n{series}\n")
    kinds = {
        "flat.npy": "Perceptron",
        "sequences.npz": "RecurrentNetwork",
        "steps.npz": "RecurrentNetwork",
        "pictures": "ConvNet",
        "own_TRAIN.ts": "RecurrentNetwork",
    }
    for file, kind in kinds.items():
        name = Path(file).stem.lower()
        assert main(["new", "--data", file]) == 0
        assert written(name)["model"]["init_args"]["network"]["class_path"] == f"litspike.networks.{kind}"
        assert main(f"fit -c {name} {QUICK}".split()) == 0
    assert data_of("own_train")["test_path"] == "own_TEST.ts"
    assert data_of("pictures")["image_size"] == [9, 9]
    assert written("steps")["model"]["init_args"]["readout"] == "litspike.coding.EveryStep"
    out, err = capsys.readouterr()
    for shape in ("samples of 9 steps × 2 features", "samples of 3 steps × 1 feature", " × 9 rows × 9 columns"):
        assert f"{shape}\n" in out
    assert "2 classes in its folders\n" in out
    assert err == ""


def test_a_rare_class_is_weighed(empty: Path):
    rows = [[*row, "rare" if i % 15 == 0 else "often"] for i, row in enumerate(X)]
    (empty / "my.csv").write_text(text(rows, "a,b,c,label"))
    assert main(["new", "--data", "my.csv", "weighed"]) == 0
    loss = written("weighed")["model"]["init_args"]["loss"]
    assert loss == {"class_path": "litspike.tasks.BinaryCrossEntropy", "init_args": {"class_weights": "balanced"}}


def test_the_default_learns_a_small_table(empty: Path):
    assert main(["new", "--data", str(PROJECT / "configs" / "wine.csv"), "--label", "grower", "wines"]) == 0
    assert main(["fit", "-c", "wines", "--trainer.max_epochs", "12", "--pictures.every", "0"]) == 0
    (run,) = runs(empty, "wines")
    assert json.loads((run / "run.json").read_text())["best"]["val/accuracy"] > 0.85


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        ("a,b,label\n" + "1,2,yes\n3,4,yes\n" * 20, "", "column 'label' is 'yes' in all 40 samples: name another col"),
        ("a,b,label\n1,2,x\n2,3,y\n3,4,x\n", "", "my.csv has 3 samples: training, validation and test need 10"),
        ("", "", "my.csv is empty"),
        ("a,b,label\n" + "1,2,x\n3,4,y\n" * 20, "--label z", "my.csv has no column 'z'; it has 'a', 'b', 'label'"),
        ("a,b,c\n" + "1,0,1\n3,1,0\n" * 20, "--label b c", "'c' is a column of my.csv: several labels are --label b -"),
        ("a,b,label\n" + "1,2,x\n3,4,\n" * 20, "", "my.csv, line 3: the label 'label' is missing: take such rows"),
        (
            "a,label\n" + "".join(f"t{i},{i % 2}\n" for i in range(40)),
            "",
            "no column to learn 'label' from: 'a' di",
        ),
        ("a,b\n" + "".join(f"{i % 7},t{i}\n" for i in range(40)), "--label b", "column 'b' has 40 different texts"),
        ("a,b,label\n" + "1,2,x\n3,4,y\n" * 20 + "1,2\n", "", "my.csv, line 42 has 2 values, but 3 columns"),
        ("a,a,label\n" + "1,2,x\n3,4,y\n" * 20, "", "my.csv, line 1 names the column 'a' twice"),
    ],
)
def test_what_cannot_be_learned_from_is_one_line_and_writes_nothing(
    empty: Path, content: str, arguments: str, said: str, capsys: pytest.CaptureFixture[str]
):
    (empty / "my.csv").write_text(content)
    assert main(["new", "--data", "my.csv", *arguments.split()]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert [path.name for path in empty.iterdir()] == ["my.csv"]


def test_another_encoding_is_one_line(empty: Path, capsys: pytest.CaptureFixture[str]):
    (empty / "my.csv").write_text("a,größe,label\n" + "1,2,ä\n" * 20, encoding="latin-1")
    assert main(["new", "--data", "my.csv"]) == 1
    assert capsys.readouterr().err == "litspike: my.csv is no UTF-8 text (byte 4): save it as UTF-8\n"


def test_what_is_there_stays(empty: Path, capsys: pytest.CaptureFixture[str]):
    (empty / "my.csv").write_text(GERMAN, encoding="utf-8")
    (empty / "my.yaml").write_text("mine")
    assert main(["new", "--data", "my.csv"]) == 1
    assert "my.yaml is there already: choose another name" in capsys.readouterr().err
    assert (empty / "my.yaml").read_text() == "mine"
    for wrong in (
        ["new"],
        ["new", "rings", "--label", "a"],
        ["new", "--data", "none.csv"],
        ["new", "--data", "my.txt"],
    ):
        assert main(wrong) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1

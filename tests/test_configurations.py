"""Every configuration trains and is tested as it stands, at a reduced size; event data are miniatures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import PROJECT, Cli
from tests.data.events.miniatures import CASES

CONFIGURATIONS = sorted((PROJECT / "configs").glob("*.yaml"))
LIBRARIES = {"digits": "sklearn", "digits_sequence": "sklearn", "time_series": "aeon"}
EVENTS = {
    "nmnist": "NMNIST", "shd": "SHD", "ssc": "SSC", "dvs_gesture": "DVSGesture", "cifar10_dvs": "CIFAR10DVS"
}  # fmt: skip
SLOW = EVENTS.keys() | {"digits", "digits_sequence", "mackey_glass", "mackey_glass_forecast"}
"""Those that take seconds, even at a reduced size."""
FEWER = "--data.steps 2 --data.batch_size 4 --data.workers 0"
SMALLER = {  # fewer weights, or steps of L-BFGS: checkpoints of hundreds of MB say nothing more
    "mackey_glass_forecast": "--model.optimizer.max_iter 5",
    "shd": "--model.network.sizes [140,16,16,20]",
    "ssc": "--model.network.sizes [140,16,16,35]",
    "nmnist": "--model.network.channels [4,pool,4,pool] --model.network.sizes [16,10]",
    "cifar10_dvs": "--model.network.channels [4,8,pool,8,8,pool,8,8,pool,8,8,pool]",
    "dvs_gesture": "--model.network.channels [2,2,2,2,2,2,2]",
    "time_series": "--model.network.kernels 20 --model.readout.inputs 20 --model.optimizer.max_iter 2",
}


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.slow if path.stem in SLOW else (), id=path.stem) for path in CONFIGURATIONS],
)
@pytest.mark.filterwarnings("ignore:.*published are")
def test_a_configuration_trains_and_is_tested(cli: Cli, home: Path, path: Path, monkeypatch: pytest.MonkeyPatch):
    name = path.stem
    monkeypatch.chdir(home)
    reduced = f"--trainer.max_epochs 1 --trainer.limit_train_batches 5 {SMALLER.get(name, '')}"
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    if name in EVENTS:
        pytest.importorskip("tonic", reason="event data need Tonic: pip install 'litspike[events]'")
        (case,) = (case for case in CASES if case.module.__name__ == EVENTS[name])
        case.make(home / "data")
        reduced += f" {FEWER} --trainer.accelerator cpu"
    fitted = cli(f"fit -c {path} {reduced}")
    assert (fitted.status, fitted.err) == (0, "")
    result = cli(f"test -c {path}")
    assert (result.status, result.err) == (0, "")
    assert f"checkpoint: logs/{name}/" in result.out
    if name in EVENTS:
        assert "binning" in fitted.out
        assert (home / "data" / "cache").is_dir()


@pytest.mark.parametrize("name", EVENTS)
def test_without_the_files_one_line_says_which_go_where(
    cli: Cli, home: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    (case,) = (case for case in CASES if case.module.__name__ == EVENTS[name])
    line = cli(f"fit -c {PROJECT}/configs/{name}.yaml --trainer.accelerator cpu").error_line
    assert case.needs in line
    assert f"data/{EVENTS[name]}" in line
    assert not (home / "logs" / name).exists() or not list((home / "logs" / name).iterdir())


def test_every_event_set_has_a_configuration():
    assert {case.module.__name__ for case in CASES} == set(EVENTS.values())
    assert set(EVENTS) <= {path.stem for path in CONFIGURATIONS}


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_a_configuration_says_at_its_head_how_it_is_run_and_what_it_needs(path: Path):
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    text = " ".join(line.removeprefix("#").strip() for line in head)
    given = "" if path.stem == "default" else f" -c configs/{path.name}"
    for command in ("fit", "test"):
        assert f"#   python main.py {command}{given}" in head
    if path.stem in EVENTS:
        assert "litspike[events]" in text
        assert f"data/{EVENTS[path.stem]}/" in text

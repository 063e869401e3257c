"""An untrusted checkpoint runs nothing, imports nothing, reads no file as settings and writes nowhere else."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import _common

from benchmarks.reliability_untrusted import set_at
from litspike.runs.checkpoints import read
from litspike.runs.contents import KEY
from tests.conftest import Cli, Result, runs
from tests.grids import grid
from tests.runs.checkpoints import best, with_config, write_unsigned

QUICK = "--trainer.max_epochs 1 --data.train_points 50 --pictures.every 0"
LAB = """
from pathlib import Path
from litspike.neurons import LIF
Path("imported").touch()
class Neuron(LIF): pass
class Open(LIF):
    def __init__(self, anything=None, typed: dict | None = None, **more) -> None:
        super().__init__()
def make(*args, **kwargs): Path("called").touch()
"""


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project as the current folder, with a module of the user's own that leaves a trace where it is imported."""
    (home / "lab.py").write_text(LAB)
    monkeypatch.chdir(home)
    before = list(sys.path)
    yield home
    sys.path[:] = before
    sys.modules.pop("lab", None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the default network, one epoch old."""
    from litspike.cli import main
    from tests.conftest import PROJECT

    home = tmp_path_factory.mktemp("trained")
    os.symlink(PROJECT / "configs", home / "configs")
    assert main(["fit", *QUICK.split()], home=home) == 0
    return best(runs(home)[0])


def untrusted(trained: Path, path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The checkpoint as somebody else would have written it, with a changed configuration."""
    config = yaml.safe_load(torch.load(trained, weights_only=True)[KEY]["config"])
    change(config)
    return with_config(trained, path, yaml.safe_dump(config))


def only_lines(result: Result) -> None:
    """Everything on standard error is lines of litspike's."""
    assert all(line.startswith("litspike: ") for line in result.err.splitlines()), result.err


def traces(here: Path) -> set[str]:
    return {path.name for path in here.iterdir()} - {
        "configs",
        "lab.py",
        "lab.yaml",
        "pipe",
        "some.ckpt",
        "__pycache__",
    }


ACTING: list[tuple[str, Any]] = [
    ("trainer.callbacks", [{"class_path": "lab.make"}]),
    (
        "trainer.callbacks",
        [{"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"dirpath": "w"}}],
    ),
    ("trainer.logger", {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "w"}}),
    (
        "trainer.profiler",
        {"class_path": "lightning.pytorch.profilers.SimpleProfiler", "init_args": {"dirpath": "w"}},
    ),
    ("trainer.plugins", ["lab.make"]),
    ("trainer.strategy", "lab.make"),
    ("trainer.default_root_dir", "w"),
    ("trainer.precision", "lab.make"),
    ("trainer.devices", 2),
    ("threads", 10**6),
    ("trainer.\x1b[2J", 2),
    ("logs", "w"),
    ("trust", ["lab"]),
    ("config", "lab.yaml"),
    ("ckpt_path", "w"),
    ("optimizer", {"class_path": "lab.make"}),
]
"""Settings by which a checkpoint would have something written or started."""


@pytest.mark.parametrize(
    ("command", "setting"),
    grid(["test", "fit --trainer.max_epochs 2"], ACTING, name=lambda one: one if isinstance(one, str) else one[0]),
)
def test_what_writes_or_starts_anything_is_not_taken_over(
    cli: Cli, here: Path, trained: Path, command: str, setting: tuple[str, Any]
):
    name, value = setting
    path = untrusted(trained, here / "some.ckpt", lambda config: set_at(config, name, value))
    result = cli(f"{command} --ckpt_path {path} --logs {here}/configs/logs --pictures.every 0")
    only_lines(result)
    assert "lab" not in sys.modules
    assert traces(here) <= {"some.litspike"}
    if name.startswith(("trainer", "threads")) and name != "trainer.precision":
        name = name.replace("\x1b", "\\x1b")  # control characters never reach the terminal
        assert result.err.splitlines()[0] == f"litspike: some.ckpt was not made by you: not taken over: {name}"


def test_a_class_that_is_not_allowed_is_named_with_the_way_to_trust_it(cli: Cli, here: Path, trained: Path):
    def change(config: dict[str, Any]) -> None:
        config["model"]["init_args"]["network"]["init_args"]["neuron"]["class_path"] = "lab.Neuron"

    path = untrusted(trained, here / "some.ckpt", change)
    line = cli(f"test --ckpt_path {path}").error_line
    assert line == "some.ckpt: model.network.neuron: lab.Neuron isn't trusted: add --trust lab if you trust it"
    assert not (here / "imported").exists()
    for trust in (
        "--trust lab",
        "--trust lab.Neuron",
        "--trust other --trust lab",
        "--model.network.neuron lab.Neuron",
    ):
        assert cli(f"test --ckpt_path {path} {trust}").status == 0, trust
    (here / "mine.yaml").write_text("trust: [lab]")
    assert cli(f"test --ckpt_path {path} -c mine.yaml").status == 0
    assert cli(f"test --ckpt_path {path} --trust la").error_line == line
    assert cli(f"test --ckpt_path {path} --trust la*").error_line == "trust: 'la*' is no name of a package"


@pytest.mark.parametrize("command", ["test", "validate", "predict", "picture", "fit --trainer.max_epochs 2"])
def test_ones_own_run_needs_no_trust(cli: Cli, here: Path, command: str):
    assert cli(f"fit {QUICK} --model.network.neuron lab.Neuron").status == 0
    path = "" if command in ("test", "validate", "predict", "picture") else "--ckpt_path last"
    result = cli(f"{command} {path}")
    assert (result.status, result.err) == (0, "")
    assert "trust" not in (runs(here)[0] / "config.yaml").read_text()


def test_another_users_run_of_ones_own_class_needs_trust(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch):
    assert cli(f"fit {QUICK} --model.network.neuron lab.Neuron").status == 0
    monkeypatch.setenv("XDG_CONFIG_HOME", str(here / "another"))
    assert "lab.Neuron isn't trusted" in cli("test").error_line
    assert cli("test --trust lab").status == 0


def test_in_a_place_without_a_type_nothing_of_a_untrusted_is_made(cli: Cli, here: Path, trained: Path):
    """Even a class that is allowed, and even in a trusted class."""
    made = {"class_path": "litspike.neurons.LIF", "init_args": {"decay": 7.0}}  # to make it would fail

    def change(config: dict[str, Any]) -> None:
        neuron = {"class_path": "lab.Open", "init_args": {"anything": made, "typed": {"x": made}}}
        config["model"]["init_args"]["network"]["init_args"]["neuron"] = neuron

    path = untrusted(trained, here / "some.ckpt", change)
    assert cli(f"test --ckpt_path {path} --trust lab").status == 0


def test_what_an_untrusted_checkpoint_hides_does_not_pass_into_ones_own_checkpoints(
    cli: Cli, here: Path, trained: Path
):
    path = untrusted(
        trained, here / "some.ckpt", lambda config: set_at(config, "trainer.logger", {"class_path": "lab.make"})
    )
    assert cli(f"fit --ckpt_path {path} --trainer.max_epochs 2 --pictures.every 0").status == 0
    own = read(best(runs(here)[-1]))
    assert own.own
    assert "lab" not in own[KEY]["config"]


def test_the_limits_end_with_the_call(cli: Cli, here: Path, trained: Path):
    before = dict(_common.parsing_settings)
    path = untrusted(trained, here / "some.ckpt", lambda config: None)
    result = cli(f"validate --ckpt_path {path}")
    assert (result.status, result.err) == (0, "")  # a harmless checkpoint that is not trusted asks for nothing
    assert _common.parsing_settings == before


def test_a_file_that_data_are_read_from_is_named(cli: Cli, here: Path, trained: Path):
    (here / "points.csv").write_text("x,y,label\n" + "".join(f"{i},{-i},{i % 2}\n" for i in range(60)))
    arrays = {"class_path": "litspike.data.Arrays", "init_args": {"path": "points.csv"}}
    path = untrusted(trained, here / "some.ckpt", lambda config: config.update(data=arrays))
    result = cli(f"validate --ckpt_path {path}")
    assert result.status == 0
    assert "some.ckpt was not made by you: its data are read from: points.csv" in result.err


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/x.yaml", "memory://x.yaml", '"memory:\\x2f/x.yaml"'])
@pytest.mark.parametrize("place", ["model.scheduler", "data"])
def test_nothing_is_fetched_from_an_address(cli: Cli, here: Path, trained: Path, monkeypatch, address, place):
    monkeypatch.setattr("fsspec.open", lambda *given, **settings: pytest.fail("fetched"))
    path = untrusted(trained, here / "some.ckpt", lambda config: set_at(config, place, address))
    line = cli(f"validate --ckpt_path {path}").error_line
    assert line.startswith(f"some.ckpt: {place}: an untrusted configuration may not name the address ")


def test_a_folder_that_event_data_write_to_is_not_taken_over(cli: Cli, here: Path, trained: Path):
    (here / "theirs").mkdir()
    events = {
        "class_path": "litspike.data.NMNIST",
        "init_args": {"root": "theirs", "cache": "theirs/cache", "workers": 9999},
    }
    path = untrusted(trained, here / "some.ckpt", lambda config: config.update(data=events))
    result = cli(f"validate --ckpt_path {path}")
    assert "not taken over: data.root, data.cache, data.workers" in result.err
    assert list((here / "theirs").iterdir()) == []


def test_files_out_of_the_checkpoints_folder_are_never_deleted(cli: Cli, here: Path, trained: Path):
    """Lightning deletes the best checkpoint before when a better one comes; which one that was the checkpoint says."""
    (here / "thesis.tex").write_text("mine")
    content = torch.load(trained, weights_only=True)
    folder = here / "logs" / "default" / "theirs"
    inside = folder / "checkpoints"
    for state in content["callbacks"].values():
        if "best_model_path" in state:
            outside = f"{inside}/../../../../thesis.tex"
            state |= {"dirpath": str(inside), "best_model_path": outside, "kth_best_model_path": outside}
            state |= {"best_k_models": {outside: torch.tensor(1e9)}, "kth_value": torch.tensor(1e9)}
            state |= {"last_model_path": outside, "best_model_score": torch.tensor(1e9)}
    path = write_unsigned(content, inside / "last.ckpt")
    (folder / "run.json").write_text(json.dumps({"status": "running"}))
    assert cli(f"fit --ckpt_path {path} --trainer.max_epochs 3").status == 0
    assert (here / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize("other", [torch.zeros(1), torch.zeros(10**6), "text", torch.zeros(10, 2).to_sparse()])
def test_an_optimizers_state_of_another_size_never_reaches_its_kernel(cli: Cli, here: Path, trained: Path, other: Any):
    """A fused kernel of torch's looks at no size: it would write beyond the memory that it got."""
    content = torch.load(trained, weights_only=True)
    content["optimizer_states"][0]["state"][0]["exp_avg"] = other
    path = write_unsigned(content, here / "some.ckpt")
    line = cli(f"fit --ckpt_path {path} --trainer.max_epochs 2 --pictures.every 0").error_line
    assert "the optimizer's exp_avg is" in line or "was not made by you, and fails" in line


@pytest.mark.parametrize("other", ["text", 1, (torch.zeros(3),), ((torch.zeros(3),),), ((torch.zeros(10, 7),),)])
def test_a_carried_state_of_another_size_is_one_line(cli: Cli, here: Path, other: Any):
    assert cli(f"fit -c configs/article.yaml {QUICK} --data.val_points 50").status == 0
    content = torch.load(best(runs(here, "article")[0]), weights_only=True)
    path = write_unsigned({**content, "carried": other}, here / "some.ckpt")
    assert cli(f"test --ckpt_path {path}").error_line


@pytest.mark.parametrize("link", ["logs/default/theirs/pictures", "some.litspike"])
def test_a_link_never_leads_what_is_written_somewhere_else(cli: Cli, here: Path, trained: Path, link: str):
    (here / "mine").mkdir()
    path = here / ("logs/default/theirs/checkpoints/last.ckpt" if link.startswith("logs") else "some.ckpt")
    untrusted(trained, path, lambda config: None)
    if link.startswith("logs"):
        (path.parent.parent / "run.json").write_text('{"status": "finished"}')
    (here / link).symlink_to(here / "mine")
    assert "is a link" in cli(f"picture --ckpt_path {path}").error_line
    assert list((here / "mine").iterdir()) == []

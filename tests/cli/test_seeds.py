"""Several seeds: their figures together, a crash that loses no other, a second start that goes on."""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path

import pytest

from litspike.cli.arguments import Call
from litspike.cli.seeds import run_seeds
from litspike.settings import UserError
from tests.conftest import Cli, runs

FORK = "fork"  # the commands of these tests need nothing of their own process but that it can crash


def pretend(args: list[str], home: Path) -> int:
    """A command that trains nothing: seed s gets an accuracy of 0.9 + s / 100, and crashes where a file says so."""
    call = Call(args)
    folder = Path(call.option("--logs") or "") / "mine" / "run"
    (home / "calls").open("a").write(" ".join(args[:3]) + "\n")
    if call.subcommand == "fit":
        if (home / f"crash{folder.parent.parent.name}").is_file():
            os._exit(9)
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"status": "finished", "figures": {}}))
    else:
        figures = {"test/loss": 0.1, "test/accuracy": 0.9 + int(folder.parent.parent.name) / 100}
        (folder / "run.json").write_text(json.dumps({"status": "finished", "figures": figures}))
    return 0


def summary(home: Path) -> dict[str, object]:
    (path,) = home.glob("logs/*/seeds.json")
    return json.loads(path.read_text())


def test_the_figures_of_all_seeds_come_together(home: Path, capsys: pytest.CaptureFixture[str]):
    assert run_seeds(Call(["fit", "--seeds", "3"]), home, pretend, FORK) == 0
    accuracy = summary(home)["figures"]["test/accuracy"]  # type: ignore[index]
    assert accuracy["values"] == pytest.approx([0.9, 0.91, 0.92])
    assert accuracy["mean"] == pytest.approx(0.91)
    assert accuracy["standard_deviation"] == pytest.approx(statistics.stdev([0.9, 0.91, 0.92]))
    for end in accuracy["interval"]:  # t = 4.3027, n = 3; the variance falls with p (1 - p)
        half = 4.3027 * 0.01 / 3**0.5 * (end * (1 - end) / (0.91 * 0.09)) ** 0.5
        assert abs(end - 0.91) == pytest.approx(half, rel=1e-3)
    assert "0.8820 to 0.9319" in capsys.readouterr().out


def test_one_seeds_crash_loses_no_other_and_the_same_command_goes_on(home: Path, capsys: pytest.CaptureFixture[str]):
    (home / "crash1").write_text("")
    call = Call(["fit", "--seeds", "3"])
    assert run_seeds(call, home, pretend, FORK) == 1
    assert "no result of seed 1" in capsys.readouterr().err
    assert summary(home)["seeds"] == [0, 2]
    (home / "crash1").unlink()
    (home / "calls").unlink()
    assert run_seeds(call, home, pretend, FORK) == 0
    assert summary(home)["seeds"] == [0, 1, 2]
    assert (home / "calls").read_text().count("fit") == 1


def test_more_seeds_keep_those_that_are_done(home: Path):
    run_seeds(Call(["fit", "--seeds", "2"]), home, pretend, FORK)
    (home / "calls").unlink()
    run_seeds(Call(["fit", "--seeds", "3"]), home, pretend, FORK)
    assert (home / "calls").read_text().count("fit") == 1


def test_another_command_line_or_configuration_is_another_experiment(home: Path):
    config = home / "mine.yaml"
    config.write_text("threads: 1\n")
    run_seeds(Call(["fit", "-c", str(config), "--seeds", "2"]), home, pretend, FORK)
    config.write_text("threads: 2\n")
    run_seeds(Call(["fit", "-c", str(config), "--seeds", "2"]), home, pretend, FORK)
    assert len(list(home.glob("logs/mine.seeds-*"))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--seeds 1", "seeds: 1 is less than 2"),
        ("--seeds x", "seeds: 'x' is not an integer"),
        ("--seeds 3 --data.seed 4", "--data.seed can't be set beside --seeds"),
        ("--seeds 3 --ckpt_path last", "--ckpt_path can't be set beside --seeds"),
    ],
)
def test_what_makes_no_sense_is_refused(home: Path, arguments: str, message: str):
    with pytest.raises(UserError, match=message):
        run_seeds(Call(["fit", *arguments.split()]), home, pretend, FORK)


@pytest.mark.thorough
def test_the_command_line_runs_real_seeds(cli: Cli, home: Path):
    options = "--trainer.max_epochs 1 --data.train_points 50 --pictures.every 0 --console.epochs false"
    assert cli(f"fit --seeds 2 {options}").status == 0
    figures = summary(home)["figures"]
    assert {"train/loss", "val/accuracy", "test/accuracy"} <= set(figures)  # type: ignore[arg-type]
    losses = figures["test/loss"]["values"]  # type: ignore[index]
    assert losses[0] != losses[1]


def test_a_trial_has_no_seeds(cli: Cli, home: Path):
    line = cli("fit --trainer.fast_dev_run true --seeds 2").error_line
    assert line == "trainer.fast_dev_run: it tries one fit and keeps nothing: leave it or --seeds out"
    assert runs(home) == []

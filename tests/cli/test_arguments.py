"""A command line is taken apart once, and what is typed holds, whatever its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from litspike.cli.arguments import Call
from tests.conftest import Cli, runs

QUICK = "--data.train_points 50 --data.val_points 50 --pictures.every 0"


def saved(run: Path) -> dict[str, object]:
    return dict(yaml.safe_load((run / "config.yaml").read_text()))


@pytest.mark.parametrize(
    ("args", "arguments"),
    [
        (["fit", "--a", "1", "-c", "x.yaml"], ["fit", "--config=x.yaml", "--a=1"]),
        (["-c", "x.yaml", "--a", "1", "fit"], ["fit", "--config=x.yaml", "--a=1"]),
        (["fit", "--a=1", "--config=x", "--b", "2", "-cy", "-c=z"], "fit --config=x --config=y --config=z --a=1 --b=2"),
        (["fit", "--a", "1", "--a", "2"], "fit --a=1 --a=2"),
        (["fit", "--a", "-3", "--b", "-.5", "--c", "-1e-3"], "fit --a=-3 --b=-.5 --c=-1e-3"),
        (["fit", "--a", "fit", "--b", "--seeds", "2"], "fit --a=fit --b --seeds=2"),
        (["fit", "--a=--seeds", "--b=x=y", "--c="], "fit --a=--seeds --b=x=y --c="),
        (["--logs", "test", "fit", "--a", ""], "fit --logs=test --a="),
        (["fit", "--a+=x", "--a+", "y"], "fit --a+=x --a+=y"),
        (["fit", "--no_x", "--a", "-"], "fit --no_x --a=-"),
        (["fit", "--a", "1", "--", "--b", "-c"], "fit --a=1 --b -c"),
        (["fit", "--print_config", "--a", "1"], "fit --print_config --a=1"),
    ],
)
def test_arguments_reach_the_parser_as_they_were_meant(args: list[str], arguments: list[str] | str):
    call = Call(args)
    assert [call.subcommand, *call.arguments] == (arguments.split() if isinstance(arguments, str) else arguments)


@pytest.mark.parametrize("option", ["-h", "--help", "--model.help", "--model.network.help=X", "--print_config"])
def test_an_option_asks_for_help(option: str):
    assert Call(["fit", option]).asks_for_help


@pytest.mark.parametrize(
    "argument", ["my.helper.yaml", "lab.helpers.X", ".help", "--model=lab.help.X", "--data.path=--help", "--a.helper=1"]
)
def test_what_looks_like_help_is_none(argument: str):
    assert not Call(["fit", "-c", argument]).asks_for_help
    assert not Call(["fit", argument, "--a", argument]).asks_for_help or argument.startswith("--model.help")


def test_the_subcommand_is_no_options_value():
    call = Call(["--logs", "test", "fit", "--ckpt_path", "last"])
    assert (call.subcommand, call.option("--ckpt_path"), call.option("--logs")) == ("fit", "last", "test")
    assert Call(["fitt", "test"]).subcommand is None


def test_what_is_typed_wins_over_files_whatever_its_place(cli: Cli, home: Path):
    (home / "one.yaml").write_text("trainer: {max_epochs: 3}\ndata: {init_args: {batch_size: 7}}\n")
    (home / "my.helper.yaml").write_text("trainer: {max_epochs: 4}\n")
    result = cli(f"fit {QUICK} --trainer.max_epochs 1 -c {home}/one.yaml --config={home}/my.helper.yaml")
    assert (result.status, result.err) == (0, "")
    (run,) = runs(home, "my.helper")
    assert saved(run)["trainer"]["max_epochs"] == 1  # type: ignore[index]
    assert saved(run)["data"]["init_args"]["batch_size"] == 7  # type: ignore[index]


def test_a_later_file_wins_over_an_earlier_and_a_later_word_too(cli: Cli, home: Path):
    (home / "one.yaml").write_text("trainer: {max_epochs: 3}\n")
    (home / "two.yaml").write_text("trainer: {max_epochs: 1}\n")
    assert cli(f"fit {QUICK} -c {home}/one.yaml -c {home}/two.yaml --data.seed 4 --data.seed 5").status == 0
    (run,) = runs(home, "two")
    assert saved(run)["trainer"]["max_epochs"] == 1  # type: ignore[index]
    assert saved(run)["data"]["init_args"]["seed"] == 5  # type: ignore[index]


def test_a_name_with_help_in_it_takes_no_checkpoint_away(cli: Cli, home: Path):
    (home / "my.helper.yaml").write_text("trainer: {max_epochs: 1}\n")
    line = cli(f"fit {QUICK} -c {home}/my.helper.yaml --ckpt_path last").error_line
    assert line.startswith("no run to go on with in")
    assert runs(home, "my.helper") == []


def test_a_list_grows_by_plus(cli: Cli, home: Path):
    plus = "--trainer.callbacks+=LearningRateMonitor --trainer.callbacks+ lightning.pytorch.callbacks.ModelSummary"
    assert cli(f"fit {QUICK} {plus} --trainer.max_epochs 1").status == 0
    callbacks = saved(runs(home)[0])["trainer"]["callbacks"]  # type: ignore[index]
    assert [callback["class_path"].split(".")[-1] for callback in callbacks] == ["LearningRateMonitor", "ModelSummary"]


def test_the_folder_of_runs_may_stand_in_a_file(cli: Cli, home: Path):
    (home / "mine.yaml").write_text(f"logs: {home}/elsewhere\n")
    assert cli(f"fit {QUICK} --trainer.max_epochs 1 -c {home}/mine.yaml").status == 0
    assert len(list((home / "elsewhere" / "mine").iterdir())) == 1
    assert f"checkpoint: {home}/elsewhere/mine" in cli(f"test -c {home}/mine.yaml").out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--data.train_points", "data.train_points: it needs a value"),
        ("--trainer.max_epochs --data.seed 3", "trainer.max_epochs: it needs a value"),
        ("--trainer.max_epochs 1:30", "trainer.max_epochs: '1:30' is not an integer or null"),
        ("--trainer.callbacks &a[*a]", "trainer.callbacks: '&a[*a]'"),
        ("--trainer.callbacks {a:&a,b:*a}", "trainer.callbacks: "),
    ],
)
def test_a_value_that_is_none_gets_one_line(cli: Cli, home: Path, arguments: str, line: str):
    assert cli(f"fit {arguments}").error_line.startswith(line)
    assert runs(home) == []

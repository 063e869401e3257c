"""The help fits on a screen or two, says what is set often first, and explains one class alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lightning import Trainer

from litspike.cli.alone import COMMANDS
from litspike.cli.arguments import SUBCOMMANDS
from litspike.cli.help import COMMON
from tests.conftest import PROJECT, Cli

SCREENS = 2 * 30


def test_the_help_has_a_line_for_each_command_that_ends_as_a_sentence(cli: Cli):
    for text in (cli("--help").out, cli("-h").out):
        lines = {line.split()[0]: line for line in text.splitlines() if re.match(r"  \w", line)}
        assert set(lines) == {*SUBCOMMANDS, *COMMANDS}
        assert all(line.endswith(".") for line in lines.values())


@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_a_commands_help_fits_on_two_screens_and_begins_with_what_is_set_often(cli: Cli, command: str):
    result = cli(f"{command} --help")
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert len(lines) <= SCREENS
    assert max(map(len, lines)) <= 130
    options = [line for line in lines if line.startswith("  --")]
    assert options[0].startswith("  --config ")
    assert ("ckpt_path" in result.out) == (command != "sweep")  # a sweep begins from no checkpoint
    assert ("--model litspike.tasks.Classification" in result.out) == (command in ("fit", "sweep"))


def test_what_is_said_to_be_set_often_can_be_set(cli: Cli):
    printed = cli("fit --print_config").out
    top = {line.split(":")[0].strip() for line in printed.splitlines()}
    said = {
        line.split()[0].removeprefix("--") for line in cli("fit --help").out.splitlines() if line.startswith("  --")
    }
    assert len(said & set(COMMON)) > 8
    for setting in said & set(COMMON) - {"config", "trust"}:
        assert set(setting.split(".")) <= top, setting
    assert cli("fit --trust package_that_is_none --print_config").status == 0


def test_an_argument_that_a_class_inherits_is_explained_by_the_class_it_comes_from(cli: Cli):
    out = cli("fit --model.help CarriedClassification").out
    assert "`Classification` that starts every batch" in out
    assert re.search(r"--model.network .*\n +From currents or spikes", out)
    assert re.search(r"--model.loss.class_weights .*\n +\w", cli("fit --model.loss.help CrossEntropy").out)


def test_no_markup_of_a_docstring_is_printed(cli: Cli):
    assert not re.search(r":\w+:`", cli("fit --checkup.help").out + cli("fit --model.help").out)
    text = cli("fit --model.encoder.help Population").out
    assert "samples [B, *, F]" in text
    assert "::" not in text
    assert "\\" not in text


@pytest.mark.parametrize("configuration", sorted(path.stem for path in (PROJECT / "configs").glob("*.yaml")))
def test_it_is_as_short_for_every_configuration_and_has_its_values(cli: Cli, configuration: str):
    out = cli(f"fit -c {configuration} --help").out
    assert len(out.splitlines()) <= SCREENS
    assert re.search(r"--trainer.max_epochs \d+", out)
    assert "--data litspike.data." in out


def test_the_settings_of_each_class_are_listed_with_their_values(cli: Cli):
    out = cli("fit --help").out
    assert re.search(r"--model.network.neuron litspike.neurons.LIF\n.*decay 0.9, tau null", out)
    assert re.search(r"--data litspike.data.HalfPlane\n +train_points 1000, val_points 1000", out)


@pytest.mark.parametrize(
    ("arguments", "head", "settings", "without"),
    [
        ("--model.help Classification", "litspike.tasks.Classification", ["--model.loss"], "--model.network.sizes"),
        ("--model.network.neuron.help", "litspike.neurons.LIF", ["--model.network.neuron.decay (here 0.9)"], "alpha"),
        ("--model.network.neuron.help=litspike.neurons.IF", "litspike.neurons.IF", ["threshold (here 1.0)"], "decay"),
        ("--model.network ConvNet --model.network.help", "litspike.networks.ConvNet", ["channels (must be set)"], "lr"),
        ("--model.scheduler.help StepLR", "torch.optim.lr_scheduler.StepLR", ["gamma (here 0.1)"], ".optimizer"),
        ("--trainer.help", f"{Trainer.__module__}.Trainer", ["--trainer.max_epochs (here 200)"], "--model"),
        ("--checkup.help", "litspike.reports.checkup.callback.CheckUp", ["--checkup.patience"], "--model"),
    ],
)
def test_one_class_is_explained_alone(cli: Cli, arguments: str, head: str, settings: list[str], without: str):
    result = cli(f"fit {arguments}")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines()[0] == head
    assert all(setting in result.out for setting in settings)
    options = [line for line in result.out.splitlines() if line.startswith("  --")]
    assert not any(without in option for option in options)


def test_a_class_of_the_users_own_is_explained(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "own_data_of_a_test.py").write_text(
        '"""Own."""\nclass Mine:\n    """My data.\n\n    Args:\n        size: how many there are.\n    """\n'
        "    def __init__(self, size: int = 3) -> None: ...\n"
    )
    monkeypatch.chdir(tmp_path)
    out = cli("fit --data.help own_data_of_a_test.Mine").out
    assert out.split() == [
        "own_data_of_a_test.Mine",
        "My",
        "data.",
        "--data.size",
        "(here",
        "3)",
        "How",
        "many",
        "there",
        "are.",
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--x.help LIF", "x: there is no such setting"),
        ("--data.help Nothing", "data: 'Nothing' is no class that is known here, give its full path"),
        ("--model.scheduler.help", "model.scheduler: no class is set there: name one, as --model.scheduler.help CLASS"),
        ("--help -c nothing_of_a_test", "config: there is no file nothing_of_a_test"),
    ],
)
def test_what_cannot_be_explained_gets_its_line(cli: Cli, arguments: str, line: str):
    assert cli(f"fit {arguments}").error_line == line

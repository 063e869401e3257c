"""A mistake in a setting that stayed over a change of class says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from litspike.cli.class_changes import staying
from tests.conftest import Cli

ADAPTIVE = "--model.network.neuron litspike.neurons.AdaptiveLIF"
DECAY = "decay 0.9 stays from LIF, the class before AdaptiveLIF"


@pytest.mark.parametrize(
    "arguments",
    [
        f"{ADAPTIVE} --model.network.neuron.tau 20",
        "--model.network.neuron AdaptiveLIF --model.network.neuron.tau 20",
        "--model.network.neuron.class_path=litspike.neurons.AdaptiveLIF --model.network.neuron.tau 20",
    ],
)
def test_a_setting_of_the_class_before_is_named_with_it(cli: Cli, arguments: str):
    line = cli(f"fit {arguments}").error_line
    assert line == f"model.network.neuron.tau: 20.0 is given beside decay 0.9: set one of them to null ({DECAY})"


def test_it_is_named_where_a_file_names_the_class(cli: Cli, home: Path):
    (home / "mine.yaml").write_text(
        "model: {init_args: {network: {init_args: {neuron: "
        "{class_path: litspike.neurons.AdaptiveLIF, init_args: {tau: 20}}}}}}\n"
    )
    assert cli(f"fit -c {home}/mine.yaml").error_line.endswith(f"({DECAY})")


def test_a_network_that_kept_its_sizes_over_a_change_says_so(cli: Cli):
    line = cli("fit --model.network litspike.networks.RecurrentNetwork --data litspike.data.Manifolds").error_line
    assert "takes 2 inputs and gets" in line
    sizes = cli(
        "fit --model.network litspike.networks.RecurrentNetwork --data litspike.data.Manifolds "
        "--model.encoder litspike.coding.TimeFirst"
    ).error_line
    assert sizes.endswith("(sizes [2, 10, 1] stays from Perceptron, the class before RecurrentNetwork)")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--model.network.neuron.tau 20", "set one of them to null"),
        (f"{ADAPTIVE} --model.network.neuron.decay 1.3", "1.3 is outside [0, 1]"),
        (f"{ADAPTIVE} --data.seed -1", "data.seed: -1 is less than 0"),
    ],
)
def test_nothing_is_said_where_no_change_has_to_do_with_it(cli: Cli, arguments: str, line: str):
    assert cli(f"fit {arguments}").error_line.endswith(line)


def test_a_name_of_another_class_is_not_suggested_for_itself(cli: Cli):
    triangle = "--model.network.neuron.surrogate Triangle --model.network.neuron.surrogate.alpha 3"
    line = cli(f"fit {triangle}").error_line
    assert line.startswith("model.network.neuron.surrogate.alpha: there is no such setting")
    assert "did you mean model.network.neuron.surrogate.alpha?" not in line


@pytest.mark.parametrize("after", ["litspike.neurons.LIF", "litspike.neurons.RefractoryLIF"])
def test_null_inside_a_typed_class_stays_null(cli: Cli, after: str):
    neuron = "{class_path: litspike.neurons.LIF, init_args: {decay: null, tau: 20.0, learn: {tau: layer}}}"
    result = cli("fit --print_config", "--model.network.neuron", neuron, "--model.network.neuron", after)
    settings = yaml.safe_load(result.out)["model"]["init_args"]["network"]["init_args"]["neuron"]
    assert settings["class_path"] == after
    assert {name: settings["init_args"][name] for name in ("decay", "tau", "learn")} == {
        "decay": None,
        "tau": 20.0,
        "learn": {"tau": "layer"},
    }


def test_a_setting_that_is_named_again_stays_no_more():
    before = {"data": {}, "data.class_path": "a.A", "data.seed": 1, "data.size": 2}
    (seed, size) = staying([before, {"data": "b.B"}])
    assert (seed.name, seed.before, seed.after, size.value) == ("seed", "A", "B", 2)
    assert [one.name for one in staying([before, {"data": "b.B", "data.seed": 3}])] == ["size"]
    assert [one.name for one in staying([before, {"data": "b.B"}, {"data.seed": 3}])] == ["size"]
    assert staying([before, {"data": "a.A"}]) == []

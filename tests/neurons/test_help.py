"""What `help` and type checkers say of a model, litspike's or a user's."""

import pydoc
import re
from pathlib import Path
from typing import Literal

import pytest
from mypy import api
from torch import nn

from litspike.neurons import LIF, Neuron, option, param
from tests.models import MODELS

PROJECT = Path(__file__).parents[2]


def help_of(model):
    return pydoc.plain(pydoc.render_doc(model))


@pytest.mark.parametrize("model", MODELS)
def test_help_has_equation_arguments_errors_source_and_example_in_this_order(model):
    text = model.__doc__
    places = [re.search(rf"^{part}", text, re.MULTILINE) for part in ("Equation", "Args:", "Raises:", "Source:")]
    assert all(places)
    starts = [*(place.start() for place in places), text.index("\nExample:\n")]
    assert starts == sorted(starts)
    arguments = text[starts[1] : starts[2]]
    for name in model.declared:
        assert f"    {name}: " in arguments


@pytest.mark.parametrize("model", MODELS)
def test_help_is_short_and_about_the_model(model):
    text = help_of(model)
    assert len(text.splitlines()) < 300
    assert "register_forward_hook" not in text
    assert "|  forward(self, current" in text


class Mine(Neuron):
    """Leaks.

    Raises:
        SettingError: if slow is outside its interval.
    """

    slow: float = param(default=0.95, inside="(0, 1)", doc="decay per step")
    kind: Literal["a", "b"] = option(default="a", doc="which of two")


class Silent(Neuron):
    slow: float = param(default=0.95, inside="(0, 1)", doc="decay per step")


@pytest.mark.parametrize("model", [Mine, Silent])
def test_a_users_own_model_lists_its_arguments(model):
    assert "Args:\n    slow: decay per step. In (0, 1).\n" in model.__doc__
    assert "\n    surrogate: " in model.__doc__
    assert "|      slow: decay per step" in help_of(model)
    assert "slow: float = 0.95" in help_of(model)


def test_a_users_own_docstring_stays_around_the_arguments():
    assert Mine.__doc__.startswith("Leaks.\n\nArgs:\n")
    assert Mine.__doc__.endswith("\n\nRaises:\n    SettingError: if slow is outside its interval.")


def test_a_layer_lists_all_that_it_has_and_its_class_what_is_its_own():
    assert {"parameters", "to", "forward", "decay"} <= set(dir(LIF()))
    assert {"forward", "decay", "State", "shaped"} <= set(dir(LIF))
    assert "parameters" not in dir(LIF)
    assert LIF.parameters is nn.Module.parameters


USER = """
from typing import Literal

from litspike import LIF
from litspike.neurons import Neuron, option, param
from torch import Tensor


class Mine(Neuron):
    slow: float = param(default=0.95, inside="(0, 1)", doc="decay per step")
    kind: Literal["a", "b"] = option(default="a", doc="which of two")

    def constants(self) -> tuple[Tensor | float, ...]:
        return (self.slow,)


LIF()
Mine()
Mine(slow=0.5, kind="b", learn={"slow": "neuron"}, engine="reference")
LIF(leak="before_input", threshold=2.0, reset="subtract", fires="above", tau=5.0)
"""
WRONG = {
    "Mine(decay=0.5)": 'Unexpected keyword argument "decay" for "Mine"',
    'Mine(kind="c")': 'Argument "kind" to "Mine" has incompatible type',
    'LIF(leak="never")': 'Argument "leak" to "LIF" has incompatible type',
    "LIF(0.9)": 'Too many positional arguments for "LIF"',
}


@pytest.mark.thorough
def test_a_users_file_type_checks_and_its_mistakes_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(PROJECT)  # with the settings and the cache of the project
    file = tmp_path / "user.py"
    file.write_text(USER + "\n".join(WRONG))
    out, err, status = api.run(["--config-file", "pyproject.toml", str(file)])
    assert status == 1, out + err
    first = len(USER.splitlines()) + 1
    found = re.findall(r"user\.py:(\d+): error: (.*)", out)
    assert {line for line, _ in found} == {str(first + number) for number in range(len(WRONG))}, out
    for number, expected in enumerate(WRONG.values()):
        assert any(line == str(first + number) and message.startswith(expected) for line, message in found), out

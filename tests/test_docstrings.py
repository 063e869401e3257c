"""The examples in the docstrings run, and what users make has one."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import litspike
from litspike import coding, engine, networks, neurons, surrogates, tasks
from litspike.settings import SettingError, UserError
from tests.models import KINDS

SOURCE = Path(litspike.__file__).parent
NAMES = [module.name for module in pkgutil.walk_packages(litspike.__path__, "litspike.")]


def has_examples(name):
    path = SOURCE.joinpath(*name.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ">>> " in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in NAMES if has_examples(name)])
def test_the_examples_of_a_module_run(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted
    assert not results.failed


BASES = {
    "Calibrated",
    "CarriedClassification",
    "ClassificationLoss",
    "Loss",
    "NeuronLayer",
    "Pass",
    "RecurrentState",
    "SequenceLayer",
    "Spikes",
    "Task",
    "Untraceable",
    "Engine",
    "Rule",
}
PUBLIC = [
    *KINDS,
    surrogates.spike,
    *(
        getattr(package, name)
        for package in (coding, engine, networks, neurons, tasks)
        for name in package.__all__
        if name not in BASES
    ),
    *(value for name, value in vars(litspike).items() if name in litspike.__all__ and name != "load"),
]


@pytest.mark.parametrize("value", sorted(set(PUBLIC) - {UserError, SettingError}, key=lambda value: value.__name__))
def test_what_users_make_or_call_has_an_example(value):
    assert "\n    Example:\n" in value.__doc__ or "\nExample:\n" in value.__doc__
    assert ">>> " in value.__doc__

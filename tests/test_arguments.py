"""Python code that hands over something wrong gets one line that names it, whatever it calls."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import litspike
from litspike import (
    LIF,
    ConstantCurrent,
    ConvNet,
    DeltaModulation,
    EveryStep,
    FirstSpike,
    Latency,
    LeakyIntegratorReadout,
    LogarithmicLatency,
    MeanOverTime,
    Perceptron,
    PoissonRate,
    Population,
    Recurrent,
    SettingError,
    SpikingSequential,
    TimeFirst,
    UserError,
)
from litspike.arguments import InputError, check_type
from litspike.metrics import Firing, SampleMean
from litspike.tasks import BinaryCrossEntropy, Classification, CrossEntropy, MeanSquaredError, TemporalCrossEntropy
from tests.public import PACKAGES, arguments, public_classes

CHECKED = [
    kind
    for kind in public_classes(*PACKAGES)
    if kind.__module__.split(".")[1] != "reports" and not hasattr(kind, "_fields")
]
"""Classes that users make in Python; callbacks are made by the command line, which checks types itself, and a named
tuple holds what it is given."""


class Anything:
    """Nothing that anybody takes."""


WRONG: dict[str, Any] = {
    "an object": Anything(),
    "a class": Anything,
    "a text": "x",
    "a negative number": -1,
    "an endless number": float("inf"),
    "an array": np.array([2, 3, 1]),
    "a tensor": torch.tensor([2, 3, 1]),
    "a tensor of no dimension": torch.tensor(3),
    "a list of anything": [None, Anything],
    "a dictionary": {Anything: None},
    "None": None,
}


def typed_arguments(kind: type) -> list[str]:
    hints = get_type_hints(kind.__init__)  # type: ignore[misc]
    return [name for name in inspect.signature(kind).parameters if hints.get(name, Any) is not Any]


def refusal(kind: type, given: dict[str, Any]) -> str | None:
    """What a constructor says; None where it takes what it is given."""
    try:
        kind(**given)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", CHECKED, ids=lambda kind: kind.__name__)
def test_a_constructor_refuses_what_it_does_not_take_in_one_line(kind: type, tmp_path: Path):
    right = arguments(kind, tmp_path)
    for name in right:
        for what, value in WRONG.items():
            line = refusal(kind, {**right, name: value})
            assert line is None or (line and "\n" not in line), f"{name}: {what}"


@pytest.mark.parametrize("kind", CHECKED, ids=lambda kind: kind.__name__)
def test_a_class_in_place_of_an_object_is_refused_by_name(kind: type, tmp_path: Path):
    right = arguments(kind, tmp_path)
    for name in typed_arguments(kind):
        if name not in ("optimizer", "scheduler"):
            with pytest.raises(UserError, match=name):
                kind(**{**right, name: Anything})


def test_the_line_about_a_class_says_what_to_write():
    with pytest.raises(SettingError, match=r"^neuron: 'LIF' is a class, not an object: write LIF\(\.\.\.\)$"):
        Perceptron([2, 3, 1], LIF)  # type: ignore[arg-type]


def test_a_large_wrong_value_is_named_by_its_type():
    with pytest.raises(SettingError, match="sizes: a value of type ndarray is no list of int"):
        Perceptron(np.zeros((30, 30)), LIF())  # type: ignore[arg-type]


def test_numbers_of_numpy_are_numbers():
    network = Perceptron([np.int64(2), np.int32(3), 1], LIF(decay=np.float32(0.5)))  # type: ignore[list-item]
    assert network(torch.zeros(2, 1, 2))[0].shape == (2, 1, 1)
    assert ConstantCurrent(np.int64(4)).steps == 4  # type: ignore[arg-type]


X = torch.zeros(4, 2, 3)
NO_TENSORS: dict[str, Callable[[], Any]] = {
    "an array": X.numpy,
    "a list": X.tolist,
    "a tuple": lambda: (X,),
    "a number": lambda: 1.0,
    "None": lambda: None,
    "a class": lambda: Tensor,
    "a sparse tensor": X.to_sparse,
    "a tensor in rows": X[0].to_sparse_csr,
    "a nested tensor": lambda: torch.nested.nested_tensor([X[0], X[0][:1]]),
    "a packed sequence": lambda: nn.utils.rnn.pack_padded_sequence(X, torch.tensor([4, 3])),
    "a quantized tensor": lambda: torch.quantize_per_tensor(X, 0.1, 0, torch.quint8),
}
NO_FLOATS = {"integers": X.long(), "truths": X.bool(), "complex numbers": X.to(torch.complex64)}
Z = torch.zeros(2, 3)
CALLS: dict[str, Callable[[Any], object]] = {
    "a neuron": LIF(),
    "its distance": LIF().distance,
    "recurrent neurons": Recurrent(LIF()).shaped(3),
    "their distance": Recurrent(LIF()).shaped(3).distance,
    "a perceptron": Perceptron([3, 4, 1], LIF()),
    "layers": SpikingSequential([nn.Linear(3, 4), LIF()]),
    "a convolutional network": ConvNet([1, 4, 4], [2], [2], LIF()),
    "a current": ConstantCurrent(4),
    "a latency": Latency(),
    "a logarithmic latency": LogarithmicLatency(),
    "a rate": PoissonRate(),
    "a population": Population(Latency()),
    "changes": DeltaModulation(),
    "sequences": TimeFirst(),
    "a mean": MeanOverTime(),
    "every step": EveryStep(),
    "a first spike": FirstSpike(),
    "an integrator": LeakyIntegratorReadout(),
    "a task": Classification(Perceptron([3, 4, 1], LIF()), ConstantCurrent(4), MeanOverTime()),
    "two classes": lambda x: BinaryCrossEntropy()(x, x, x),
    "classes": lambda x: CrossEntropy()(Z, X, x),
    "classes by step": lambda x: TemporalCrossEntropy()(Z, x, Z[:, 0]),
    "an error": lambda x: MeanSquaredError()(x, X, Z),
    "firing": Firing(3).update,
    "a mean of samples": SampleMean().update,
}
PASS_ON = ("a current", "sequences", "every step", "two classes", "classes", "classes by step", "an error")
PASS_ON += ("firing", "a mean of samples")
"""They take numbers of any type, as layers after them may, or as torch does."""


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's, that some of these are new or old
@pytest.mark.parametrize("what", NO_TENSORS)
@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_dense_tensor_is_refused_wherever_it_is_handed_over(call: str, what: str):
    given = NO_TENSORS[what]()
    with pytest.raises(InputError, match=r"^\w+: (the \w+|values) is .*, not a dense torch\.Tensor"):
        CALLS[call](given)


@pytest.mark.parametrize("what", NO_FLOATS)
@pytest.mark.parametrize("call", [call for call in CALLS if call not in PASS_ON])
def test_what_is_not_of_floating_point_is_refused_by_its_type(call: str, what: str):
    with pytest.raises(UserError, match=r"int64|bool|complex64"):
        CALLS[call](NO_FLOATS[what])


def test_a_layer_that_gets_another_width_is_named_with_what_it_takes():
    with pytest.raises(UserError, match="Linear takes 3 inputs and gets 2"):
        Perceptron([3, 4, 1], LIF())(torch.zeros(4, 2, 2))
    with pytest.raises(UserError, match="Linear has weights of float64 and gets float32"):
        Perceptron([3, 4, 1], LIF()).double()(X)


def test_integers_reach_a_layer_that_takes_them():
    network = SpikingSequential([nn.Embedding(5, 3), nn.Linear(3, 4), LIF()])
    assert network(torch.ones(4, 2, dtype=torch.int64))[0].shape == (4, 2, 4)


@pytest.mark.parametrize("state", [3, "x", X, X.numpy(), {"u": Z}])
@pytest.mark.parametrize("call", ["a neuron", "recurrent neurons", "a perceptron"])
def test_a_state_that_is_none_is_refused(call: str, state: Any):
    with pytest.raises(UserError, match="state"):
        CALLS[call](X, state)  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", public_classes(*PACKAGES), ids=lambda kind: kind.__name__)
def test_every_public_object_can_be_pickled_copied_and_printed(kind: type, tmp_path: Path):
    made = kind(**arguments(kind, tmp_path))
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert type(again) is kind
        assert vars_of(again) == vars_of(made)
        assert str(again)


def vars_of(made: Any) -> set[str]:
    return set(vars(made)) if hasattr(made, "__dict__") else set(made._fields)


def test_errors_can_be_pickled():
    for error in (UserError("a line"), SettingError("decay", 2, "is outside [0, 1]"), InputError("a line")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))


def own_hooks() -> list[tuple[type, str, type]]:
    """Hooks of classes of ours that override one which a parent of ours has: class, name and parent."""
    modules = []
    for one in pkgutil.walk_packages(litspike.__path__, "litspike."):
        with suppress(ModuleNotFoundError):  # of an extra
            modules.append(importlib.import_module(one.name))
    classes = {kind for module in modules for kind in vars(module).values() if inspect.isclass(kind)}
    ours = [kind for kind in classes if kind.__module__.startswith("litspike.")]
    return [
        (kind, name, parent)
        for kind in ours
        for name in vars(kind)
        if name.startswith("on_") or name in ("setup", "teardown", "state_dict", "load_state_dict")
        for parent in kind.__mro__[1:]
        if parent in ours and name in vars(parent)
    ]


def test_a_hook_that_overrides_one_of_ours_runs_it_too():
    found = own_hooks()
    assert len(found) > 5
    for kind, name, parent in found:
        calls = f"super().{name}(" in inspect.getsource(vars(kind)[name])
        assert calls, f"{kind.__name__}.{name} leaves {parent.__name__}'s out"


def test_an_argument_of_any_type_takes_anything():
    check_type("x", [Anything()], list[Any])
    check_type("x", {"a": Anything()}, dict[str, Any])
    check_type("x", Anything(), Any)

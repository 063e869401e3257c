"""Numbers that a declaration holds are arguments of its kernel: one kernel serves all values, with the same bits."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from litspike.engine import call, exp
from litspike.neurons import LIF, Neuron, option, param
from litspike.surrogates import ArcTan, FastSigmoid, Gaussian, Rectangle, Sigmoid, Surrogate, Triangle

X = torch.randn(20, 3, 7, generator=torch.Generator().manual_seed(0)) * 2
VALUES = [1, 2, 4, 0.5, 1.0, 2.0, 3.3, 1e-6, 1e6, *torch.linspace(0.1, 5, 20).tolist()]


@dataclass(frozen=True)
class Blend(Surrogate):
    """Numbers in objects, in tuples, as exponents, counts and in Python's branches."""

    inner: Surrogate = field(default_factory=ArcTan)
    weights: tuple[float, float] = (0.3, 0.7)
    terms: int = 2
    power: int = 2

    def derivative(self, v: Tensor) -> Tensor:
        first, second = self.weights
        result = self.inner.derivative(v) * first + exp(-v.abs()) ** self.power * second
        for term in range(self.terms):
            result = result + term * 0.1 if first > 0.5 else result - term * 0.1
        return result


class Scaled(Neuron):
    """A neuron with a number among its options."""

    rest: ClassVar[dict[str, float]] = {"u": 0.0}
    threshold: float = param(1.0, "(0, inf)", "threshold")
    gain: Any = option(1.5, "what the input is multiplied by")

    def constants(self) -> tuple[Any, ...]:
        return (self.threshold,)

    def step(self, x: Tensor, u: Tensor, threshold: Tensor) -> tuple[Tensor, ...]:
        u = u * 0.9 + x * self.gain
        s = self.spike(u - threshold)
        return s, u - s * threshold


def results(neuron):
    x = X.clone().requires_grad_()
    spikes, (u,) = neuron(x)
    (spikes.sum() + u.square().sum()).backward()
    return spikes.detach(), u.detach(), x.grad


def kernels(tmp_path):
    return len([*tmp_path.rglob("*.o")])


@pytest.fixture
def anew(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(call, "_kernels", {})
    monkeypatch.setattr(call, "_compiled", {})
    return tmp_path


@pytest.mark.parametrize("kind", [ArcTan, Sigmoid, FastSigmoid, Triangle, Rectangle, Gaussian])
def test_all_settings_of_a_surrogate_share_one_kernel_and_give_the_references_bits(kind, anew):
    made = set()
    for value in VALUES:
        fused = results(LIF(surrogate=kind(value), engine="fused"))
        expected = results(LIF(surrogate=kind(value), engine="reference"))
        assert all(torch.equal(a, b) for a, b in zip(fused, expected, strict=True))
        made.add(kernels(anew))
    assert made == {2}, "forward and backward, whatever the number"


@pytest.mark.parametrize(
    ("name", "values", "more"),
    [
        ("inner", [ArcTan(0.7), ArcTan(1.9)], 0),
        ("weights", [(0.1, 0.2), (0.5, 0.2), (1.0, 0.0)], 1),
        ("terms", [1, 3], 1),
        ("power", [1, 3], 1),
    ],
)
def test_numbers_are_found_wherever_a_declaration_holds_them_and_those_that_decide_its_structure_stay(
    name, values, more, anew
):
    found = []
    for value in values:
        surrogate = dataclasses.replace(Blend(), **{name: value})
        fused = results(LIF(surrogate=surrogate, engine="fused"))
        expected = results(LIF(surrogate=surrogate, engine="reference"))
        assert all(torch.equal(a, b) for a, b in zip(fused, expected, strict=True))
        found.append(kernels(anew))
    assert found[-1] - found[0] == more, "a weight above 0.5 is another structure, and so are counts and exponents"


def test_a_number_among_a_neurons_options_is_an_argument(anew):
    for gain in (0.5, 1.0, 2, 3.5):
        fused, expected = (results(Scaled(gain=gain, engine=engine)) for engine in ("fused", "reference"))
        assert all(torch.equal(a, b) for a, b in zip(fused, expected, strict=True))
    assert kernels(anew) == 2


def test_a_compiled_graph_shares_the_kernel_too(anew):
    for alpha in (0.5, 2.0, 3.0):
        torch._dynamo.reset()
        layer = LIF(surrogate=ArcTan(alpha))
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        assert all(torch.equal(a, b) for a, b in zip(results(compiled), results(layer), strict=True))
    assert kernels(anew) == 2

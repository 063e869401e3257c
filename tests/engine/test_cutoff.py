"""What the gradient of a step's output is multiplied by, found in the traced step."""

from dataclasses import dataclass

import pytest
import torch

from litspike.engine.ir.cutoff import cutoff
from litspike.engine.ir.nest import Kind, Leaf
from litspike.engine.ir.trace import trace
from litspike.surrogates import (
    ArcTan,
    FastSigmoid,
    Gaussian,
    Rectangle,
    Sigmoid,
    StraightThrough,
    Surrogate,
    Triangle,
    ZeroGradient,
    spike,
)

from .steps import leaky

LEAVES = (Leaf(Kind.PER_STEP, True), *[Leaf(Kind.NUMBER)] * 3)


def found(step):
    return cutoff(trace(step, 1, LEAVES, torch.float64))


@dataclass(frozen=True)
class Chosen(Surrogate):
    def derivative(self, v):
        return torch.where(v.abs() < 1, 1 - v * v, torch.zeros_like(v))


@dataclass(frozen=True)
class Compared(Surrogate):
    def derivative(self, v):
        return ((v > -1) & (v < 1)).to(v.dtype) * 0.5


@dataclass(frozen=True)
class Clamped(Surrogate):
    def derivative(self, v):
        return 0.3 * torch.relu(1 - v * v) / 2


@dataclass(frozen=True)
class Floored(Surrogate):
    """It is never zero."""

    def derivative(self, v):
        return (1 - v.abs()).clamp(min=0.1)


@dataclass(frozen=True)
class Raised(Surrogate):
    """A sum with something cut off is not zero where that is."""

    def derivative(self, v):
        return (1 - v.abs()).clamp(min=0) + 0.1


FINITE = [Rectangle(), Triangle(), ZeroGradient(), Chosen(), Compared(), Clamped()]
INFINITE = [ArcTan(), Sigmoid(), FastSigmoid(), Gaussian(), StraightThrough(), Floored(), Raised()]


@pytest.mark.parametrize("surrogate", FINITE, ids=str)
def test_a_surrogate_of_finite_support_is_found_whoever_wrote_it(surrogate):
    assert found(leaky(surrogate)) is not None


@pytest.mark.parametrize("surrogate", INFINITE, ids=str)
def test_a_surrogate_that_is_nowhere_zero_is_none(surrogate):
    assert found(leaky(surrogate)) is None


def test_a_gradient_that_goes_another_way_too_matters_everywhere():
    def graded(x, u, decay, threshold):
        u = u + x
        s = spike(u - threshold, Rectangle())
        return s * u, u * (1 - s) * decay

    def two_spikes(x, u, decay, threshold):
        u = u + x
        return spike(u - threshold, Rectangle()) + spike(u - 2 * threshold, Rectangle()), u * decay

    def no_spike(x, u, decay, threshold):
        return u, u * decay + x

    assert found(graded) is None
    assert found(two_spikes) is None
    assert found(no_spike) is None


def test_a_factor_on_the_way_to_the_derivative_makes_no_difference():
    def scaled(x, u, decay, threshold):
        u = u + x
        s = spike(u - threshold, Rectangle())
        return s * decay, u * (1 - s.detach())

    assert found(scaled) is not None

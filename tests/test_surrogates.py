"""Each surrogate is the derivative that its paper gives, and stays finite far from the threshold."""

import math

import numpy as np
import pytest
import torch

from litspike.settings import SettingError
from litspike.surrogates import (
    ArcTan,
    FastSigmoid,
    Gaussian,
    Rectangle,
    Sigmoid,
    StraightThrough,
    Triangle,
    ZeroGradient,
    spike,
)
from tests.models import KINDS, SHAPES

SMOOTHED_STEPS = [  # a surrogate and the function that it is the derivative of
    (ArcTan(), lambda v: np.arctan(np.pi * v) / np.pi),
    (ArcTan(5.0), lambda v: np.arctan(np.pi * 5.0 * v / 2) / np.pi),
    (Sigmoid(), lambda v: 1 / (1 + np.exp(-4 * v))),
    (Sigmoid(1.5), lambda v: 1 / (1 + np.exp(-1.5 * v))),
    (FastSigmoid(), lambda v: v / (1 + 10 * np.abs(v))),
    (FastSigmoid(25.0), lambda v: v / (1 + 25 * np.abs(v))),
    (Triangle(), lambda v: np.sign(v) * (np.minimum(abs(v), 1) - np.minimum(abs(v), 1) ** 2 / 2)),
    (Triangle(0.5, 0.3), lambda v: 0.3 * np.sign(v) * (np.minimum(abs(v), 0.5) - np.minimum(abs(v), 0.5) ** 2)),
    (Rectangle(), lambda v: np.clip(v, -0.5, 0.5)),
    (Rectangle(0.25), lambda v: 4 * np.clip(v, -0.125, 0.125)),
    (Gaussian(), np.vectorize(lambda v: math.erf(v / (0.5 * math.sqrt(2))) / 2)),
    (Gaussian(2.0), np.vectorize(lambda v: math.erf(v / (2 * math.sqrt(2))) / 2)),
    (StraightThrough(), lambda v: v),
    (ZeroGradient(), np.zeros_like),
]
INTEGRALS = [
    (ArcTan(3.0), 1.0),
    (Sigmoid(3.0), 1.0),
    (FastSigmoid(5.0), 2 / 5.0),
    (Triangle(0.4, 0.3), 0.12),
    (Rectangle(0.3), 1.0),
    (Gaussian(0.3), 1.0),
]
EVERY = [surrogate for surrogate, _ in SMOOTHED_STEPS]
ids = repr


def test_every_surrogate_has_its_smoothed_step():
    assert {type(surrogate) for surrogate in EVERY} == set(KINDS)


@pytest.mark.parametrize(("surrogate", "smoothed"), SMOOTHED_STEPS, ids=[repr(surrogate) for surrogate in EVERY])
def test_derivative_is_the_slope_of_the_smoothed_step(surrogate, smoothed):
    v = np.linspace(-3.01, 3.03, 400)  # off the kinks
    h = 1e-6
    slope = (smoothed(v + h) - smoothed(v - h)) / (2 * h)
    np.testing.assert_allclose(surrogate.derivative(torch.tensor(v)).numpy(), slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("surrogate", "whole"), INTEGRALS, ids=ids)
def test_derivative_integrates_to_the_height_of_the_smoothed_step(surrogate, whole):
    u = torch.linspace(-1, 1, 400_001, dtype=torch.float64)[1:-1]
    v = u / (1 - u * u)  # the whole line
    values = surrogate.derivative(v) * (1 + u * u) / (1 - u * u) ** 2
    assert torch.trapezoid(values, u).item() == pytest.approx(whole, rel=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("surrogate", EVERY, ids=ids)
def test_derivative_is_finite_even_and_not_negative_far_out(surrogate, dtype):
    v = torch.tensor([0.0, 1e-30, 1e-3, 1.0, 30.0, 1e2, 1e4, 1e8], dtype=dtype)
    out = surrogate.derivative(v)
    assert out.dtype == dtype
    assert out.isfinite().all()
    assert (out >= 0).all()
    assert torch.equal(out, surrogate.derivative(-v))


@pytest.mark.parametrize("surrogate", EVERY, ids=ids)
def test_backward_multiplies_by_the_derivative(surrogate):
    v = torch.randn(64, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(64, dtype=torch.float64)
    (grad,) = torch.autograd.grad(spike(v, surrogate), v, upstream)
    assert torch.equal(grad, upstream * surrogate.derivative(v.detach()))


def test_spike_fires_at_the_threshold_or_above_it_alone():
    v = torch.tensor([-1.0, -0.0, 0.0, 1e-20, float("nan")])
    assert spike(v, ArcTan()).tolist() == [0, 1, 1, 1, 0]
    assert spike(v, ArcTan(), "above").tolist() == [0, 0, 0, 1, 0]


@pytest.mark.parametrize(("surrogate", "setting"), SHAPES)
@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), "wide"])
def test_a_wrong_shape_parameter_is_refused_by_name(surrogate, setting, value):
    with pytest.raises(SettingError, match=rf"^{setting}: .* (is outside \(0, inf\)|is not a number)$"):
        surrogate(**{setting: value})


@pytest.mark.parametrize(
    ("surrogate", "edge"),
    [
        (ArcTan(2.0), 3 / math.pi),  # where 1 + (π v)² = 10
        (FastSigmoid(10.0), (math.sqrt(10) - 1) / 10),
        (Triangle(0.5, 0.3), 0.45),
        (Rectangle(0.25), 0.125),
        (Gaussian(2.0), 2 * math.sqrt(2 * math.log(10))),
    ],
    ids=ids,
)
def test_the_window_ends_where_the_derivative_falls_to_a_tenth(surrogate, edge):
    v = torch.tensor([0.0, 0.99, -0.99, 1.01, -1.01, 50.0]) * edge
    assert surrogate.inside(v).tolist() == [True, True, True, False, False, False]


def test_without_a_gradient_there_is_no_window_and_with_the_same_one_everywhere_no_end_to_it():
    v = torch.tensor([0.0, -1e6])
    assert ZeroGradient().inside(v).tolist() == [False, False]
    assert StraightThrough().inside(v).tolist() == [True, True]


def test_surrogates_are_values():
    assert Sigmoid(3.0) == Sigmoid(3.0) != Sigmoid(4.0)
    assert len({Triangle(), Triangle(1.0), Rectangle()}) == 2


@pytest.mark.parametrize(("kind", "setting"), SHAPES)
@pytest.mark.parametrize("value", [1e-18, 1e-10, 1e-3, 1.0, 1e3, 1e10, 1e18])
def test_a_derivative_is_finite_at_every_distance(kind, setting, value):
    far = [0.0, 1e-45, 1e-38, 1e-20, 1e-10, 1.0, 30.0, 1e6, 1e12, 1e20, 1e30, 3e38, math.inf]
    v = torch.tensor(far)
    derivative = kind(**{setting: value}).derivative(torch.cat([v, -v]))
    assert derivative.isfinite().all()
    assert (derivative >= 0).all()


@pytest.mark.parametrize(("kind", "setting"), SHAPES)
@pytest.mark.parametrize("value", [5e-324, 1e-46, 1e-19, 1e19, 1e39, 1e300])
def test_a_number_that_single_precision_cannot_square_is_refused(kind, setting, value):
    with pytest.raises(SettingError, match=r"is outside \[1e-18, 1e18\]"):
        kind(**{setting: value})

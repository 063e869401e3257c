"""Elementary functions made of ordinary arithmetic, so that they are the same bits in every engine.

torch.exp differs in its last bit between its vectorised and its plain form, and between machines; a neuron near its
threshold then fires on one machine and not on another. These are within about one unit in the last place.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from litspike.engine.modes import apply

# 2^x for integers x in the exponents of normal numbers, by moving x into the exponent's bits. An operation of
# its own, so that a trace sees one name instead of arithmetic on bits.
_library = torch.library.Library("litspike", "DEF")  # type: ignore[no-untyped-call]
_library.define("power_of_two(Tensor x) -> Tensor")  # type: ignore[no-untyped-call]


def _power_of_two(x: Tensor) -> Tensor:
    double = x.dtype == torch.float64
    whole, mantissa, bias = (torch.int64, 52, 1023) if double else (torch.int32, 23, 127)
    # Adding 1.5 · 2^mantissa leaves x in the lowest bits, without a conversion that a NaN would make undefined.
    return (((x + 1.5 * 2.0**mantissa).view(whole) + bias) << mantissa).view(x.dtype)


_library.impl("power_of_two", _power_of_two, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
_library.impl("power_of_two", torch.empty_like, "Meta")  # type: ignore[no-untyped-call]

_LOG2_E = 1 / math.log(2)
_LN2_HIGH = {torch.float32: 0.693359375, torch.float64: float.fromhex("0x1.62e42fee00000p-1")}
_LN2_LOW = {torch.float32: -2.12194440e-4, torch.float64: float.fromhex("0x1.a39ef35793c76p-33")}
_TERMS = {torch.float32: 7, torch.float64: 13}  # of the series, which then ends below half a unit in the last place
_RANGE = {torch.float32: (-104.0, 89.0), torch.float64: (-746.0, 710.0)}  # outside, the result is 0 or infinite


class _Exp(torch.autograd.Function):
    """The exponential, which is its own derivative."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        low, high = _RANGE[x.dtype]
        x = x.clamp(low, high)
        n = torch.floor(x * _LOG2_E + 0.5)
        r = (x - n * _LN2_HIGH[x.dtype]) - n * _LN2_LOW[x.dtype]  # |r| ≤ ln 2 / 2; the first product is exact
        terms = _TERMS[x.dtype]
        series = torch.full_like(r, 1 / math.factorial(terms))
        for k in range(terms - 1, 1, -1):
            series = series * r + 1 / math.factorial(k)
        result = 1 + (r + r * r * series)
        half = torch.floor(n * 0.5)  # 2^n itself may be no normal number
        result = result * torch.ops.litspike.power_of_two(half) * torch.ops.litspike.power_of_two(n - half)
        return result  # type: ignore[no-any-return]

    derivative = forward

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        (result,) = ctx.saved_tensors
        product: Tensor = grads[0] * result
        return product


class _ExpForwards(_Exp):
    """The same in forward-mode differentiation."""

    jvp = _Exp.backward


def exp(x: Tensor) -> Tensor:
    """Exponential ``e^x``, elementwise; within 1 unit in the last place.

    Equation: ``e^x = 2^n e^r`` with ``n = round(x / ln 2)``, and the Taylor series of ``e^r``.

    Args:
        x: any shape, float32 or float64.

    Source: Cody and Waite 1980, "Software Manual for the Elementary Functions", chapter 6.

    Example:
        >>> import torch
        >>> from litspike.engine import exp
        >>> exp(torch.tensor([0.0, 1.0]))
        tensor([1.0000, 2.7183])
    """
    return apply(_Exp, _ExpForwards, x)


def sigmoid(x: Tensor) -> Tensor:
    """Logistic function ``1 / (1 + e^−x)``, elementwise, of :func:`exp`; within 3 units in the last place.

    Example:
        >>> import torch
        >>> from litspike.engine import sigmoid
        >>> sigmoid(torch.tensor([0.0, 1.0]))
        tensor([0.5000, 0.7311])
    """
    return 1 / (1 + exp(-x))


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent ``2 / (1 + e^−2x) − 1``, elementwise, of :func:`exp`; within 2 · 10⁻⁷ of it in float32.

    Example:
        >>> import torch
        >>> from litspike.engine import tanh
        >>> tanh(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7616])
    """
    return 2 / (1 + exp(-2 * x)) - 1

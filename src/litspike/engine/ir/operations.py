"""The operations that a step may be made of, and how those of torch are made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Value = int
"""Number of a value in a program."""


OPERATIONS: dict[str, str] = {
    **dict.fromkeys(("add", "sub", "mul", "div", "neg", "abs", "floor", "max", "min", "power_of_two"), "f"),
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"), "b"),
    **dict.fromkeys(("float", "select"), "f"),
}
"""Each scalar operation, and the kind of its result: ``f`` a real number, ``b`` a truth value.

``max`` and ``min`` carry a NaN on, as torch does; ``select`` takes a truth value first, ``float`` makes 1 or 0 of one.
"""


class Builder(Protocol):
    """What a rule writes its operations with: called with a name and values, it gives the value of the result."""

    def __call__(self, name: str, *operands: Value) -> Value:
        """Value of the operation ``name`` on ``operands``."""
        ...

    def literal(self, number: float) -> Value:
        """Value of a number."""
        ...

    def number(self, value: Value) -> float | None:
        """The number that a value is, where it is one."""
        ...


Rule = Callable[..., Value]


def _plain(name: str) -> Rule:
    return lambda build, *operands: build(name, *operands)


def _sum(name: str, swap: bool = False) -> Rule:
    def rule(build: Builder, a: Value, b: Value, alpha: float = 1) -> Value:
        if alpha != 1:  # torch contracts the product and the sum in some of its kernels and not in others
            raise NotImplementedError("with an alpha other than 1")
        return build(name, b, a) if swap else build(name, a, b)

    return rule


def _power(build: Builder, base: Value, exponent: Value) -> Value:
    number = build.number(exponent)
    if number == 0:
        return build.literal(1.0)
    if number not in (1, 2, 3):  # the exponents for which torch multiplies too
        raise NotImplementedError("to an exponent other than 0, 1, 2 and 3")
    square = base if number == 1 else build("mul", base, base)
    return build("mul", square, base) if number == 3 else square


def _clamp(build: Builder, x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    x = x if low is None else build("max", x, low)
    return x if high is None else build("min", x, high)


def _sign(build: Builder, x: Value) -> Value:
    zero = build.literal(0.0)
    return build("sub", build("float", build("gt", x, zero)), build("float", build("lt", x, zero)))


def _inexact(instead: str | None = None) -> Rule:
    def rule(build: Builder, *operands: Value) -> Value:
        hint = f"; use {instead}, whose does not" if instead else ""
        raise NotImplementedError(f"whose last bit depends on the machine{hint}")

    return rule


RULES: dict[str, Rule] = {
    **{name: _plain(name) for name in ("mul", "neg", "abs", "floor", "power_of_two")},
    **{name: _plain(name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
    "add": _sum("add"),
    "sub": _sum("sub"),
    "rsub": _sum("sub", swap=True),
    "div": lambda build, a, b: build("div", a, b),
    "reciprocal": lambda build, x: build("div", build.literal(1.0), x),
    "pow": _power,
    "square": lambda build, x: build("mul", x, x),
    "maximum": _plain("max"),
    "minimum": _plain("min"),
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clamp_max": lambda build, x, high: build("min", x, high),
    "relu": lambda build, x: build("max", x, build.literal(0.0)),
    "threshold_backward": lambda build, g, x, least: build("select", build("le", x, least), build.literal(0.0), g),
    "sgn": _sign,
    "sign": _sign,
    "where": _plain("select"),
    "masked_fill": lambda build, x, mask, value: build("select", mask, value, x),
    **{f"{family}_{name}": _plain(name) for family in ("logical", "bitwise") for name in ("and", "or", "not")},
    "exp": _inexact("litspike.engine.exp"),
    "sigmoid": _inexact("litspike.engine.sigmoid"),
    "tanh": _inexact("litspike.engine.tanh"),
    "sqrt": _inexact(),
}
"""How an operation of torch, named without its overload and the ``_`` of its in-place form, is made of OPERATIONS."""

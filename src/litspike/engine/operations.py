"""The operations that a step may be made of: what each is called in torch, and how each engine prints it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

Value = int
"""Number of a value in a program."""


class Operation(NamedTuple):
    """One scalar operation: the kind of its result (``f`` a real number, ``b`` a truth value), its LLVM and its Triton.

    In the texts ``{0}``, ``{1}``, ``{2}`` are the operands; ``{t}`` is the type of real numbers and ``{i}`` the whole
    number of the same size. In LLVM's, ``{r}`` is the result and ``{s}`` the type's name in an intrinsic; lines before
    the last name their results themselves. Triton's is an expression.
    """

    kind: str
    llvm: str
    triton: str


def _intrinsic(name: str, arity: int, triton: str) -> Operation:
    operands = ", ".join(f"{{t}} {{{index}}}" for index in range(arity))
    return Operation("f", f"{{r}} = call {{t}} @llvm.{name}.{{s}}({operands})", triton)


OPERATIONS: dict[str, Operation] = {
    "add": Operation("f", "{r} = fadd {t} {0}, {1}", "{0} + {1}"),
    "sub": Operation("f", "{r} = fsub {t} {0}, {1}", "{0} - {1}"),
    "mul": Operation("f", "{r} = fmul {t} {0}, {1}", "{0} * {1}"),
    "div": Operation("f", "{r} = fdiv {t} {0}, {1}", "{divide}({0}, {1})"),
    # Triton's own minus is a subtraction from 0, which gives no −0.
    "neg": Operation("f", "{r} = fneg {t} {0}", "{0} * -1.0"),
    "abs": _intrinsic("fabs", 1, "tl.abs({0})"),
    # The GPU's own takes the smallest negative numbers for 0.
    "floor": _intrinsic("floor", 1, "tl.where(({0} < 0) & ({0} > -1), -1.0, tl.floor({0}))"),
    # Both carry a NaN on, as torch does.
    "max": _intrinsic("maximum", 2, "tl.maximum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)"),
    "min": _intrinsic("minimum", 2, "tl.minimum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)"),
    "power_of_two": Operation(
        "f",  # 1.5 · 2^mantissa leaves a whole number in the lowest bits of the sum, which then move to the exponent
        "{r}.a = fadd {t} {0}, {magic}\n{r}.b = bitcast {t} {r}.a to {i}\n{r}.c = add {i} {r}.b, {bias}\n"
        "{r}.d = shl {i} {r}.c, {mantissa}\n{r} = bitcast {i} {r}.d to {t}",
        "((({0} + {magic}).to({i}, bitcast=True) + {bias}) << {mantissa}).to({t}, bitcast=True)",
    ),
    "lt": Operation("b", "{r} = fcmp olt {t} {0}, {1}", "{0} < {1}"),
    "le": Operation("b", "{r} = fcmp ole {t} {0}, {1}", "{0} <= {1}"),
    "gt": Operation("b", "{r} = fcmp ogt {t} {0}, {1}", "{0} > {1}"),
    "ge": Operation("b", "{r} = fcmp oge {t} {0}, {1}", "{0} >= {1}"),
    "eq": Operation("b", "{r} = fcmp oeq {t} {0}, {1}", "{0} == {1}"),
    "ne": Operation("b", "{r} = fcmp une {t} {0}, {1}", "{0} != {1}"),
    "and": Operation("b", "{r} = and i1 {0}, {1}", "{0} & {1}"),
    "or": Operation("b", "{r} = or i1 {0}, {1}", "{0} | {1}"),
    "not": Operation("b", "{r} = xor i1 {0}, true", "~{0}"),
    "float": Operation("f", "{r} = uitofp i1 {0} to {t}", "{0}.to({t})"),
    "select": Operation("f", "{r} = select i1 {0}, {t} {1}, {t} {2}", "tl.where({0}, {1}, {2})"),
}


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

"""Operations on integers as C: none overflows, as the bounds of each say whether it needs 64 bits."""

from __future__ import annotations

from collections.abc import Sequence

from litspike.export.integer.cells import Cell, Integer
from litspike.export.integer.lower import Step

_SIGNS = {
    **{"add": "+", "sub": "-", "mul": "*", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="},
    **{"and": "&", "or": "|"},
}
_PRINTED = {
    **{"neg": "-{0}", "not": "!{0}", "abs": "{0} < 0 ? -{0} : {0}", "select": "{0} ? {1} : {2}"},
    **{"max": "{0} > {1} ? {0} : {1}", "min": "{0} < {1} ? {0} : {1}"},
}
_INT32 = (1 << 31) - 1

ROUNDING = """\
typedef char shifts_must_keep_the_sign[(-1 >> 1) == -1 ? 1 : -1];

/* x limited to bounds. */
static int32_t limited(int64_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : (int32_t)x;
}

/* x / 2^shift, rounded to nearest, halves towards +infinity; x * 2^-shift of a shift below 0. */
static int64_t shifted(int64_t x, int shift)
{
    if (shift <= 0) {
        return x * (INT64_C(1) << -shift);
    }
    return (x + (INT64_C(1) << (shift - 1))) >> shift;
}
"""

FUNCTIONS = {
    "power": """\
/* 2^exponent: 0 below 0, and no more than 2^30. */
static int32_t power(int64_t exponent)
{
    return exponent < 0 ? 0 : INT32_C(1) << (exponent > 30 ? 30 : exponent);
}
""",
    "divide": """\
/* a / b, rounded towards zero and limited; of b = 0 the bound on a's side, and 0 of 0. */
static int32_t divided(int64_t a, int64_t b)
{
    if (b == 0) {
        return a > 0 ? INT32_MAX : a < 0 ? -INT32_MAX : 0;
    }
    return limited(a / b, -INT32_MAX, INT32_MAX);
}
""",
}
"""What C has no operator for."""


def statements(step: Step, leaves: Sequence[str], targets: Sequence[str], number: str) -> list[str]:
    """The operations of one element, a line each, and where their results go.

    Args:
        step: the operations.
        leaves: what the inputs, the states and the tables are in C.
        targets: what the output and the new states are written to.
        number: type of the targets.
    """
    names: dict[Cell, str] = {}
    lines = []
    for cell in step.needed():
        one = step.cells[cell]
        if one.operation == "literal":
            names[cell] = _literal(one.number)
            continue
        given = [step.cells[operand] for operand in one.operands]
        text = leaves[one.number] if one.operation == "leaf" else _text(one, given, [names[n] for n in one.operands])
        names[cell] = f"v{cell}"
        lines.append(f"const {'int64_t' if _wide(one.low, one.high) else 'int32_t'} v{cell} = {text};")
    results = zip(targets, step.outputs, strict=True)
    return [*lines, *(f"{target} = ({number}){names[result]};" for target, result in results)]


def _literal(number: int) -> str:
    text = str(number) if abs(number) < 1 << 15 else f"INT32_C({number})"
    return f"({text})" if number < 0 else text


def _wide(low: int, high: int) -> bool:
    return max(-low, high) > _INT32


def _text(one: Integer, given: Sequence[Integer], names: Sequence[str]) -> str:
    """An operation on what has names, in 64 bits where something on its way needs them."""
    from_wide = any(_wide(operand.low, operand.high) for operand in given)
    wide, a, n = _wide(one.low, one.high), names[0], one.number
    match one.operation:
        case "divide":
            return f"divided((int64_t){a} * INT64_C({1 << n}), {names[1]})"
        case "power":
            return f"power((int64_t){a} + {n})"
        case "up":
            from_wide = from_wide or 1 << n > _INT32
            text = f"{a} * {'INT64_C' if wide or from_wide else 'INT32_C'}({1 << n})"
        case "down":
            half = 1 << (n - 1)
            from_wide = _wide(given[0].low, given[0].high + half)
            text = f"((int64_t){a} + INT64_C({half})) >> {n}" if from_wide else f"({a} + {_literal(half)}) >> {n}"
        case "floor":
            text = f"{a} >> {n if from_wide else min(n, 31)}"
        case "saturate":
            text = _limited(one, given[0], a)
        case name if name in _PRINTED:
            text = _PRINTED[name].format(*names)
        case name:
            text = f"{'(int64_t)' if wide and not from_wide else ''}{a} {_SIGNS[name]} {names[1]}"
    return f"(int32_t)({text})" if from_wide and not wide else text


def _limited(one: Integer, given: Integer, name: str) -> str:
    """Only the bounds that can be left."""
    low, high = _literal(one.low), _literal(one.high)
    text = name if given.high <= one.high else f"{name} > {high} ? {high} : {name}"
    return text if given.low >= one.low else f"{name} < {low} ? {low} : {text}"


def functions_of(steps: Sequence[Step]) -> str:
    """The functions that steps need, as C text."""
    used = {step.cells[cell].operation for step in steps for cell in step.needed()}
    return "\n".join([ROUNDING, *(text for name, text in FUNCTIONS.items() if name in used)])

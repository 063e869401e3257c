"""Traced operations as C: the same that the engines print for LLVM and Triton."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from litspike.engine.ir.operations import OPERATIONS, Value
from litspike.engine.ir.program import Program

_PRINTED = {
    **{"add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}", "neg": "-{0}"},
    **{name: f"{name}_of({{0}})" for name in ("abs", "floor", "power_of_two")},
    **{name: f"{name}_of({{0}}, {{1}})" for name in ("max", "min")},
    **{name: f"{{0}} {sign} {{1}}" for name, sign in
       (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("eq", "=="), ("ne", "!="))},
    **{"and": "{0} & {1}", "or": "{0} | {1}", "not": "!{0}"},
    **{"float": "(float)({0})", "select": "{0} ? {1} : {2}"},
}  # fmt: skip
"""How each operation is written; those that C has no operator for are functions of the file's own."""

_BITS = """\
/* A float and its bits. */
typedef union {
    float real;
    uint32_t bits;
} float_bits;
"""


def _extreme(name: str, zeros: str, both: str, sign: str) -> str:
    return f"""\
static float {name}_of(float a, float b) /* no number where one is none; {zeros} */
{{
    float_bits one, other;
    if (a != a || b != b) {{
        return a + b;
    }}
    if (a == b) {{
        one.real = a;
        other.real = b;
        one.bits {both}= other.bits;
        return one.real;
    }}
    return a {sign} b ? a : b;
}}
"""


_FUNCTIONS = {
    "abs": """\
static float abs_of(float x)
{
    float_bits value;
    value.real = x;
    value.bits &= UINT32_C(0x7fffffff);
    return value.real;
}
""",
    "floor": """\
static float floor_of(float x)
{
    float whole;
    if (!(x > -0x1p23f && x < 0x1p23f)) {
        return x; /* it is an integer, infinite or no number */
    }
    whole = (float)(int32_t)x;
    return whole == x ? x : whole > x ? whole - 1.0f : whole;
}
""",
    "max": _extreme("max", "+0 is above -0", "&", ">"),
    "min": _extreme("min", "-0 is below +0", "|", "<"),
    "power_of_two": """\
static float power_of_two_of(float x) /* of an integer, by way of the exponent's bits */
{
    float_bits value;
    value.real = x + 0x1.8p23f;
    value.bits = (value.bits + UINT32_C(127)) << 23;
    return value.real;
}
""",
}


def functions_of(programs: Sequence[Program]) -> str:
    """The functions that programs need, as C text."""
    used = {program.nodes[value].operation for program in programs for value in program.needed(program.outputs)}
    found = [text for name, text in _FUNCTIONS.items() if name in used]
    return (
        "\n".join([_BITS, *found]) if found and set(used) & {"abs", "max", "min", "power_of_two"} else "\n".join(found)
    )


def number(value: float) -> str:
    """A number in single precision, exactly."""
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "(-INFINITY)"
    mantissa, _, exponent = float(value).hex().partition("p")
    whole, _, rest = mantissa.partition(".")
    digits = rest.rstrip("0")
    text = f"{whole}.{digits}p{exponent}f" if digits else f"{whole}p{exponent}f"
    return f"({text})" if value < 0 or text.startswith("-") else text


def statements(program: Program, leaves: Sequence[str], targets: Sequence[str]) -> list[str]:
    """The operations of one element, a line each, and where their results go.

    Args:
        program: the step.
        leaves: what the input, the states and the constants are in C.
        targets: what the output and the new states are written to.
    """
    names: dict[Value, str] = {}
    lines = []
    for value in program.needed(program.outputs):
        node = program.nodes[value]
        if node.operation == "literal":
            names[value] = number(float.fromhex(node.literal))
            continue
        text = leaves[value] if node.operation == "leaf" else _PRINTED[node.operation].format(
            *(names[operand] for operand in node.operands)
        )  # fmt: skip
        kind = "int" if OPERATIONS.get(node.operation) == "b" else "float"
        names[value] = f"v{value}"
        lines.append(f"const {kind} v{value} = {text};")
    return [*lines, *(f"{target} = {names[result]};" for target, result in zip(targets, program.outputs, strict=True))]


class Tables:
    """Constants of a C file, as its text and how many bytes they are."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.bytes = 0

    def add(self, name: str, values: Tensor, kind: str = "float") -> str:
        """Write an array of numbers; gives its name."""
        flat = values.detach().reshape(-1).tolist()
        printed = [number(value) for value in flat]
        if kind == "double":
            printed = [text.removesuffix("f") if text.endswith("f") else text.replace("f)", ")") for text in printed]
        return self._add(name, printed, kind, 8 if kind == "double" else 4)

    def add_integers(self, name: str, values: Tensor, bits: int) -> str:
        """Write an array of integers of so many bits; gives its name."""
        return self._add(name, [str(value) for value in values.reshape(-1).tolist()], f"int{bits}_t", bits // 8)

    def _add(self, name: str, printed: Sequence[str], kind: str, size: int) -> str:
        lines = [f"    {', '.join(printed[start : start + 8])}," for start in range(0, len(printed), 8)]
        self.append("\n".join([f"static const {kind} {name}[{len(printed)}] = {{", *lines, "};", ""]))
        self.bytes += size * len(printed)
        return name

    def append(self, text: str) -> None:
        """Write any other constant."""
        self.texts.append(text)


def function(head: str, lines: Sequence[str]) -> str:
    """A function of these lines."""
    return "\n".join([head, "{", *(f"    {line}" if line else "" for line in lines), "}", ""])


def loop(count: int | str, lines: Sequence[str]) -> list[str]:
    """Lines that are done for each i below a count; none of none."""
    return [f"for (i = 0; i < {count}; i++) {{", *(f"    {line}" for line in lines), "}"] if lines else []


def element(place: str) -> str:
    """Number i of what an expression points to."""
    return f"({place})[i]" if " " in place else f"{place}[i]"

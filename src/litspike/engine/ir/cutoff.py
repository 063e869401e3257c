"""Where the gradient of a step's output doesn't matter: where it is multiplied by a derivative that is zero."""

from __future__ import annotations

from litspike.engine.ir.operations import Value
from litspike.engine.ir.program import Program


def cutoff(program: Program) -> Value | None:
    """The value by which the gradient of the output is multiplied on its way to every gradient that is asked for.

    In a neuron that puts out its spikes it is the surrogate's derivative. It is made of input, states and constants
    alone. None where the gradient goes another way too, or where nothing cuts the value off to zero.
    """
    of_output = 1 + program.states + program.constants
    results = {value for value in program.gradients if value is not None}
    users: dict[Value, list[Value]] = {}
    upstream = set(range(of_output, of_output + 1 + program.states))
    for value in program.needed(results):
        for operand in program.nodes[value].operands:
            users.setdefault(operand, []).append(value)
            if operand in upstream:
                upstream.add(value)
    factors: set[Value] = set()
    ways = {of_output}
    for value in sorted(upstream):
        if value not in ways:
            continue
        if value in results:
            return None
        for user in users.get(value, ()):
            operation, operands, _ = program.nodes[user]
            factor = next((o for o in operands if o not in upstream and _is_cut_off(program, o)), None)
            if operation == "mul" and factor is not None:
                factors.add(factor)
            else:
                ways.add(user)
    return factors.pop() if len(factors) == 1 else None


def _is_cut_off(program: Program, value: Value) -> bool:
    """Whether a value has a factor that is exactly zero beyond a bound: a comparison, a clamp at 0, a choice of 0."""
    operation, operands, literal = program.nodes[value]
    if operation == "literal":
        return float.fromhex(literal) == 0
    if operation == "float":
        return True
    followed = {"mul": operands, "select": operands[1:], "div": operands[:1], "neg": operands, "abs": operands}
    if operation in ("max", "min"):
        return any(
            program.nodes[operand].operation == "literal" and _is_cut_off(program, operand) for operand in operands
        )
    return any(_is_cut_off(program, operand) for operand in followed.get(operation, ()))

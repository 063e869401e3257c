"""Programs as text, as a saved graph holds them. Text from a file is untrusted and is checked: code is made of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch

from litspike.engine.ir.nest import Kind, Leaf
from litspike.engine.ir.operations import OPERATIONS
from litspike.engine.ir.program import Node, Program
from litspike.settings import UserError

_DTYPES = {str(dtype): dtype for dtype in (torch.float32, torch.float64)}
_ARITY = {"select": 3, **dict.fromkeys(("neg", "abs", "floor", "power_of_two", "not", "float"), 1)}
_OF_TRUTH = {"and": "bb", "or": "bb", "not": "b", "float": "b", "select": "bff"}
_LONGEST = 1 << 20


def to_text(program: Program) -> str:
    """A program as text."""
    return json.dumps([str(program.dtype), *program[1:]])


def from_text(text: str, leaves: Sequence[Leaf]) -> Program:
    """The program that a text is of.

    Args:
        text: what :func:`to_text` gave.
        leaves: the input, the states and the constants.

    Raises:
        UserError: if the text is of no program, or of one that takes other leaves.
    """
    try:
        if len(text) > _LONGEST:
            raise ValueError("it is too long")
        dtype, states, constants, nodes, outputs, gradients = json.loads(text)
        _check_leaves(leaves, states, constants)
        made = tuple(Node(operation, tuple(operands), literal) for operation, operands, literal in nodes)
        kinds = _kinds(made, 2 * (1 + states) + constants)
        _check_results(leaves, states, outputs, gradients, kinds)
        return Program(_DTYPES[dtype], states, constants, made, tuple(outputs), tuple(gradients))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError) as problem:
        raise UserError(f"litspike::run: the graph holds no step that can be run: {problem!r:.200}") from None


def _check_leaves(leaves: Sequence[Leaf], states: Any, constants: Any) -> None:
    _check(type(states) is int and type(constants) is int and states >= 0 and constants >= 0, "its number of arguments")
    _check(len(leaves) == 1 + states + constants, f"{len(leaves)} leaves for {1 + states + constants} arguments")
    state, constant = (Kind.NUMBER, Kind.PER_NEURON), (Kind.NUMBER, Kind.SHARED, Kind.PER_NEURON)
    allowed = [(Kind.PER_STEP, Kind.PER_NEURON), *[state] * states, *[constant] * constants]
    for index, (leaf, kinds) in enumerate(zip(leaves, allowed, strict=True)):
        _check(leaf.kind in kinds and leaf != Leaf(Kind.NUMBER, True), f"the kind of argument {index}")


def _kinds(nodes: Sequence[Node], leaves: int) -> list[str]:
    """The kind of each value, once it is known that each is made of earlier ones of the kind it takes."""
    kinds: list[str] = []
    _check(len(nodes) >= leaves, "fewer values than arguments")
    for index, (operation, operands, literal) in enumerate(nodes):
        known = "f"
        takes = ""
        _check((operation == "leaf") == (index < leaves), f"value {index}: a {operation}")
        if operation == "literal":
            float.fromhex(literal)
        elif operation != "leaf":
            known = OPERATIONS[operation]
            takes = _OF_TRUTH.get(operation, "f" * _ARITY.get(operation, 2))
        _check(literal == "" or operation == "literal", f"value {index}: a literal of a {operation}")
        _check(all(type(operand) is int and 0 <= operand < index for operand in operands), f"operands of value {index}")
        _check(takes == "".join(kinds[operand] for operand in operands), f"operands of value {index}, a {operation}")
        kinds.append(known)
    return kinds


def _check_results(leaves: Sequence[Leaf], states: int, outputs: Any, gradients: Any, kinds: Sequence[str]) -> None:
    learns = any(leaf.wants_gradient for leaf in leaves)
    expected = [leaf.wants_gradient or (learns and 1 <= index <= states) for index, leaf in enumerate(leaves)]
    _check(len(outputs) == 1 + states, f"{len(outputs)} results for {1 + states}")
    _check([gradient is not None for gradient in gradients] == expected, "gradients of other arguments than are wanted")
    for value in (*outputs, *(gradient for gradient in gradients if gradient is not None)):
        _check(type(value) is int and 0 <= value < len(kinds) and kinds[value] == "f", f"the result {value}")
    given = len(leaves) + 1 + states  # with the gradients of the results, which no result is made of
    _check(all(value < len(leaves) or value >= given for value in outputs), "a result that is a gradient")


def _check(right: bool, what: str) -> None:
    if not right:
        raise ValueError(what)

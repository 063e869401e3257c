"""From a step to its operations: a straight list of scalar operations for one time step and for its adjoint."""

from __future__ import annotations

import ctypes
import functools
import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from litspike.engine.ir.operations import OPERATIONS, RULES, Value

_SAME = frozenset({"detach", "alias", "clone", "lift_fresh", "expand", "_to_copy"})  # give the value they are given
_FILLED = {"scalar_tensor": 0, "full": 1, "full_like": 1, "new_full": 2, "fill": 1}  # and which argument fills them
_ZEROS = frozenset({"zeros", "zeros_like", "new_zeros"})
_ONES = frozenset({"ones", "ones_like", "new_ones"})
_READ = frozenset({"_local_scalar_dense", "is_nonzero", "equal"})  # make a Python value of a tensor
_FOREIGN = (os.path.dirname(torch.__file__), os.path.dirname(__file__))  # files that no user wrote


class Untraceable(Exception):
    """A step is not made of known scalar operations. The text says which operation it was and where it stands."""


class Node(NamedTuple):
    """One value of a program: an operation on earlier values, ``leaf``, or ``literal`` with its number."""

    operation: str
    operands: tuple[Value, ...] = ()
    literal: str = ""  # as float.hex writes it, since 0 and −0 are equal as numbers and NaN is not


class Program(NamedTuple):
    """A time step and its adjoint as scalar operations, in an order of evaluation.

    The first nodes are the leaves: the input, the states, the constants, then the gradients of the output and of the
    new states. ``outputs`` are the output and the new states; ``gradients`` those of input, states and constants,
    None where not asked for. Programs compare and hash by value.
    """

    dtype: torch.dtype
    states: int
    constants: int
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]
    gradients: tuple[Value | None, ...]

    def needed(self, results: Iterable[Value]) -> list[Value]:
        """The values that ``results`` depend on, themselves included, in an order of evaluation."""
        wanted = set(results)
        for value in range(len(self.nodes) - 1, -1, -1):
            if value in wanted:
                wanted.update(self.nodes[value].operands)
        return sorted(wanted)


def trace(step: Callable[..., Any], states: int, constants: int, dtype: torch.dtype, wanted: Sequence[bool]) -> Program:
    """Run a step once, on single numbers, and record what it and its gradient do.

    Args:
        step: ``step(input, *states, *constants) → (output, *states)``.
        states: number of states.
        constants: number of constants.
        dtype: float32 or float64.
        wanted: for the input, each state and each constant, whether its gradient is asked for.

    Raises:
        Untraceable: if the step does anything else than known operations on its arguments.
    """
    return record(step, states, constants, dtype, wanted)[0]


def record(
    step: Callable[..., Any],
    states: int,
    constants: int,
    dtype: torch.dtype,
    wanted: Sequence[bool],
    places: Sequence[int | None] = (),
) -> tuple[Program, list[float]]:
    """The program of :func:`trace`, and all numbers that it was made with, in the order in which they came up.

    Args:
        places: for each of these numbers, which further constant of the program stands for it, or None where it is
            a literal; empty where all are.
    """
    # A state hangs on all that came before it, so its gradient is carried through time whenever any is wanted.
    carried = [any(wanted) and (flag or 1 <= index <= states) for index, flag in enumerate(wanted)]
    leaves = [torch.ones(1, dtype=dtype, requires_grad=flag) for flag in carried]
    cotangents = [torch.ones(1, dtype=dtype) for _ in range(1 + states)]
    recorder = _Recorder(dtype, leaves, cotangents, places)
    try:
        with torch.inference_mode(False), torch.enable_grad(), recorder:
            results = step(*leaves)
            if not isinstance(results, tuple) or [type(r) for r in results] != [Tensor] * (1 + states):
                raise Untraceable(f"it returns no tuple of its output and {states} states")
            outputs = [recorder.real(result) for result in results]
            gradients = _gradients(recorder, results, leaves, cotangents)
    except Untraceable:
        raise
    except Exception as problem:  # what is wrong shows again, and in full, when the reference engine runs the step
        raise Untraceable(f"{problem} {_place(traceback.extract_tb(problem.__traceback__))}") from problem
    nodes = tuple(recorder.nodes)
    gradients += [None] * recorder.further
    program = Program(dtype, states, constants + recorder.further, nodes, tuple(outputs), tuple(gradients))
    return program, recorder.numbers


def _gradients(
    recorder: _Recorder, results: Sequence[Tensor], leaves: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> list[Value | None]:
    inputs = [leaf for leaf in leaves if leaf.requires_grad]
    products = [result * g for result, g in zip(results, cotangents, strict=True) if result.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(inputs)
    if products and inputs:  # one sum, as torch.autograd.grad imports all of sympy when it is given cotangents itself
        found = torch.autograd.grad(functools.reduce(torch.add, products), inputs, allow_unused=True)
    each = iter(found)
    gradients: list[Value | None] = []
    for leaf in leaves:
        gradient = next(each) if leaf.requires_grad else None
        zero = recorder.literal(0.0) if leaf.requires_grad else None
        gradients.append(zero if gradient is None else recorder.real(gradient))
    return gradients


def _place(stack: traceback.StackSummary) -> str:
    """Where in the user's files a stack stands: in its innermost frame that is neither torch's nor the engine's."""
    for frame in reversed(stack):
        if not frame.filename.startswith((*_FOREIGN, "<")):
            return f"({frame.filename}:{frame.lineno}: {frame.line})"
    return ""


class _Recorder(TorchDispatchMode):
    """Writes down every operation below autograd.

    A value is known by the memory of the tensor that holds it, so that operations in place and the aliases made by
    autograd need no care; every tensor is kept alive meanwhile, lest its memory be used again.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # or else the first operation imports torch's compiler, which takes seconds

    def __init__(
        self,
        dtype: torch.dtype,
        leaves: Sequence[Tensor],
        cotangents: Sequence[Tensor],
        places: Sequence[int | None],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dtype = dtype
        self.numbers: list[float] = []
        self.further = len({place for place in places if place is not None})
        self._places, self._further_from = places, len(leaves)
        arguments = [*leaves, *[None] * self.further, *cotangents]
        self.nodes = [Node("leaf") for _ in arguments]
        self._known: dict[Node, Value] = {}
        self._alive = [*leaves, *cotangents]
        self._values = {leaf.data_ptr(): value for value, leaf in enumerate(arguments) if leaf is not None}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        full: str = func._schema.name
        name = full.split("::")[1]
        name = name[:-1] if name.endswith("_") else name
        try:
            if name in _READ:
                raise NotImplementedError("which makes a Python value of a tensor: all neurons must do the same")
            result = func(*args, **(kwargs or {}))
            value = self._value(name, result, args, kwargs or {})
        except NotImplementedError as problem:
            raise Untraceable(f"{full}, {problem} {_place(traceback.extract_stack())}".rstrip()) from None
        self._alive.append(result)
        self._values[result.data_ptr()] = value
        return result

    def _value(self, name: str, result: Any, args: Any, kwargs: Any) -> Value:
        if not isinstance(result, Tensor) or result.numel() != 1 or result.dim() > 1:
            raise NotImplementedError("which is not elementwise")
        if result.dtype not in (self.dtype, torch.bool):
            raise NotImplementedError(f"which gives {result.dtype} where the neuron runs in {self.dtype}")
        kind = "b" if result.dtype == torch.bool else "f"
        if name == "lift_fresh" and args[0].data_ptr() not in self._values:  # torch.tensor(number) inside the step
            return self._as(kind, self.literal(args[0].item()))
        if name in _FILLED or name in _ZEROS or name in _ONES:
            return self._as(kind, self._operand(args[_FILLED[name]] if name in _FILLED else name in _ONES))
        operands = [None if arg is None else self._operand(arg) for arg in args]
        if name in _SAME and operands[0] is not None:
            return self._as(kind, operands[0])
        if name not in RULES:
            raise NotImplementedError("which no fused engine knows")
        try:
            return self._as(kind, RULES[name](self, *operands, **kwargs))
        except TypeError:
            raise NotImplementedError(f"with the arguments {', '.join(kwargs)}") from None

    def _operand(self, arg: Any) -> Value:
        if isinstance(arg, (bool, int, float)):
            return self.literal(float(arg))
        if isinstance(arg, Tensor) and arg.data_ptr() in self._values:
            return self._values[arg.data_ptr()]
        raise NotImplementedError("on something that is neither an argument of the step nor made of them")

    def __call__(self, name: str, *operands: Value) -> Value:
        """Value of an operation; see :class:`litspike.engine.ir.operations.Builder`."""
        if name == "mul" and 1.0 in (numbers := [self.number(value) for value in operands]):
            return operands[1 - numbers.index(1.0)]
        logical = name in ("and", "or", "not")
        kinds = ["b" if logical or (name in ("float", "select") and index == 0) else "f" for index in range(3)]
        return self._node(
            Node(name, tuple(self._as(kind, value) for kind, value in zip(kinds, operands, strict=False)))
        )

    def literal(self, number: float) -> Value:
        """Value of a number, rounded as torch rounds a Python number beside a tensor."""
        place = self._places[len(self.numbers)] if self._places else None
        self.numbers.append(float(number))
        if place is not None:
            return self._further_from + place
        rounded = ctypes.c_float(number).value if self.dtype == torch.float32 else float(number)
        return self._node(Node("literal", (), rounded.hex()))

    def number(self, value: Value) -> float | None:
        """The number that a value is, where it is one."""
        node = self.nodes[value]
        return float.fromhex(node.literal) if node.operation == "literal" else None

    def real(self, tensor: Tensor) -> Value:
        """Value of a tensor that the step made, as a real number."""
        return self._as("f", self._operand(tensor))

    def _as(self, kind: str, value: Value) -> Value:
        if kind == OPERATIONS.get(self.nodes[value].operation, "f"):
            return value
        return self("float", value) if kind == "f" else self("ne", value, self.literal(0.0))

    def _node(self, node: Node) -> Value:
        if node not in self._known:
            self._known[node] = len(self.nodes)
            self.nodes.append(node)
        return self._known[node]

"""Traces a step: a list of scalar operations for one time step and its adjoint."""

from __future__ import annotations

import ctypes
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import set_detect_anomaly
from torch.autograd.graph import _engine_run_backward, saved_tensors_hooks
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from litspike.engine.ir.nest import Kind, Leaf
from litspike.engine.ir.operations import OPERATIONS, RULES, Value
from litspike.engine.ir.surroundings import Untraceable
from litspike.engine.ir.surroundings import place as place_of

_SAME = frozenset({"detach", "alias", "clone", "lift_fresh", "expand", "_to_copy"})  # give the value they are given
_FILLED = {"scalar_tensor": 0, "full": 1, "full_like": 1, "new_full": 2, "fill": 1}  # and which argument fills them
_ZEROS = frozenset({"zeros", "zeros_like", "new_zeros"})
_ONES = frozenset({"ones", "ones_like", "new_ones"})
_READ = frozenset(  # make a Python value of a tensor
    {"_local_scalar_dense", "is_nonzero", "equal", "allclose", "item", "tolist", "numpy", "__bool__", "__float__"}
    | {"__int__", "__index__", "__complex__", "__array__", "__contains__", "__repr__", "__format__"}
)
_SHAPES = ((2, 5, 3), (3, 7))  # of [B, *]; a step that knows its shape can't fit both
_PARTS = frozenset({"__getitem__", "__setitem__"})  # which may be all of a small tensor
_SILENT = frozenset(  # what may be asked of a tensor without an operation: it is the same for all elements
    {"dtype", "device", "data", "is_floating_point", "is_complex", "element_size", "contiguous", "to", "type_as"}
    | {"float", "double", "cpu"}
)


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


def trace(step: Callable[..., Any], states: int, leaves: Sequence[Leaf], dtype: torch.dtype) -> Program:
    """What a step and its gradient do with one element, by running it on small tensors of two shapes.

    Args:
        step: ``step(input, *states, *constants) → (output, *states)``.
        states: number of states.
        leaves: the input, the states and the constants.
        dtype: float32 or float64.

    Raises:
        Untraceable: if the step does anything else than known operations on its arguments, element by element.
    """
    program, other = (record(step, states, leaves, dtype, shape=shape)[0] for shape in _SHAPES)
    single, _ = record(step, states, [Leaf(leaf.kind) for leaf in leaves], dtype)
    if program != other or (single.outputs, single.nodes) != (program.outputs, program.nodes[: len(single.nodes)]):
        raise Untraceable("it does something else each time, or with each shape of its input")
    return program


def record(
    step: Callable[..., Any],
    states: int,
    leaves: Sequence[Leaf],
    dtype: torch.dtype,
    places: Sequence[int | None] = (),
    shape: tuple[int, ...] = _SHAPES[0],
) -> tuple[Program, list[float]]:
    """The program of :func:`trace`, and all numbers that it was made with, in the order in which they came up.

    Where no gradient is asked for, what is one value for all neurons is a tensor of no dimension, as in the reference.

    Args:
        places: for each of these numbers, which further constant of the program stands for it, or None where it is
            a literal; empty where all are.
        shape: of the input at one step, [B, *].
    """
    learns = any(leaf.wants_gradient for leaf in leaves)
    arguments = []
    for index, leaf in enumerate(leaves):
        single = index > states and leaf.kind in (Kind.NUMBER, Kind.SHARED)
        # States depend on all earlier steps, so their gradients are carried through time whenever any is wanted.
        carried = leaf.wants_gradient or (learns and 1 <= index <= states)
        size = () if single and not learns else shape
        arguments.append(torch.ones(size, dtype=dtype, device="cpu", requires_grad=carried))
    cotangents = [torch.ones(shape, dtype=dtype, device="cpu") for _ in range(1 + states)]
    recorder = _Recorder(dtype, shape, arguments, cotangents, places)
    plain = saved_tensors_hooks(_itself, _itself)  # in place of those that a user has set, as for checkpointing
    with torch.inference_mode(False), torch.enable_grad(), plain, recorder:
        with _Queries(recorder):
            results = step(*arguments)
        if not isinstance(results, tuple) or [type(r) for r in results] != [Tensor] * (1 + states):
            raise Untraceable(f"it returns no tuple of its output and {states} states")
        outputs = [recorder.result(result) for result in results]
        gradients = _gradients(recorder, results, arguments, cotangents)
    gradients += [None] * recorder.further
    constants = len(leaves) - 1 - states + recorder.further
    program = Program(dtype, states, constants, tuple(recorder.nodes), tuple(outputs), tuple(gradients))
    return program, recorder.numbers


def _gradients(
    recorder: _Recorder, results: Sequence[Tensor], leaves: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> list[Value | None]:
    asked = [leaf for leaf in leaves if leaf.requires_grad]
    reached = [(result, g) for result, g in zip(results, cotangents, strict=True) if result.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(asked)
    if reached and asked:
        outputs, upstream = zip(*reached, strict=True)
        # torch.autograd.grad itself would hide from the modes what it calls, and import all of sympy.
        with _Queries(recorder), set_detect_anomaly(False):  # which looks for NaN in what is being traced
            found = _engine_run_backward(outputs, upstream, False, False, tuple(asked), True, accumulate_grad=False)
    each = iter(found)
    gradients: list[Value | None] = []
    for leaf in leaves:
        gradient = next(each) if leaf.requires_grad else None
        zero = recorder.literal(0.0) if leaf.requires_grad else None
        gradients.append(zero if gradient is None else recorder.real(gradient))
    return gradients


def _itself(tensor: Tensor) -> Tensor:
    return tensor


def _place() -> str:
    """Where in the user's files the engine is: in its innermost frame that is neither torch's nor the engine's."""
    stack = traceback.extract_stack()
    return next(filter(None, (place_of(frame.filename, frame.lineno, frame.line) for frame in reversed(stack))), "")


class _Queries(TorchFunctionMode):
    """Refuses what a step asks of a tensor without an operation, such as its shape: it is not of one element."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = len(self.recorder.alive)
        name = func.__self__.__name__ if func.__name__ == "__get__" else func.__name__
        if name in _READ:
            problem = "which makes a Python value of a tensor: all neurons must do the same"
            raise Untraceable(f"{name} of a tensor, {problem} {_place()}".rstrip())
        if name in _PARTS:
            raise Untraceable(f"{name} of a tensor, which takes a part of it {_place()}".rstrip())
        try:
            result = func(*args, **(kwargs or {}))
        except (ValueError, TypeError, IndexError) as problem:
            raise Untraceable(f"{name}: {problem} {_place()}".rstrip()) from problem
        if len(self.recorder.alive) == before and name not in _SILENT:
            raise Untraceable(f"{name} of a tensor, which is no operation on each element {_place()}".rstrip())
        return result


class _Recorder(TorchDispatchMode):
    """Writes down every operation below autograd.

    A value is known by the memory of the tensor that holds it, so that operations in place and the aliases of
    autograd are covered; every tensor is kept alive meanwhile, so that no memory is used twice.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # or else the first operation imports torch's compiler, which takes seconds

    def __init__(
        self,
        dtype: torch.dtype,
        shape: tuple[int, ...],
        leaves: Sequence[Tensor],
        cotangents: Sequence[Tensor],
        places: Sequence[int | None],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dtype, self.shape = dtype, shape
        self.numbers: list[float] = []
        self.further = len({place for place in places if place is not None})
        self._places, self._further_from = places, len(leaves)
        arguments = [*leaves, *[None] * self.further, *cotangents]
        self.nodes = [Node("leaf") for _ in arguments]
        self._known: dict[Node, Value] = {}
        self.alive = [*leaves, *cotangents]
        self._values = {leaf.data_ptr(): value for value, leaf in enumerate(arguments) if leaf is not None}
        self._given = set(self._values)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        full: str = func._schema.name
        name = full.split("::")[1]
        name = name[:-1] if name.endswith("_") else name
        try:
            with torch._C.DisableTorchFunction():  # what is asked here, no step asks
                value = self._value(name, func, args, kwargs or {})  # first, as what is refused must change nothing
                result = func(*args, **(kwargs or {}))
                kind = self._checked(result)
                self.alive.append(result)
                self._values[result.data_ptr()] = self._as(kind, value)
        except NotImplementedError as problem:
            raise Untraceable(f"{full}, {problem} {_place()}".rstrip()) from None
        return result

    def _checked(self, result: Any) -> str:
        """The kind of a result."""
        if not isinstance(result, Tensor) or not (result.shape == self.shape or result.shape in ((), (1,))):
            raise NotImplementedError("which is not elementwise")
        if result.dtype not in (self.dtype, torch.bool) or result.device.type != "cpu":
            raise NotImplementedError(
                f"which gives {result.dtype} on {result.device} where the neuron runs in {self.dtype}"
            )
        return "b" if result.dtype == torch.bool else "f"

    def _value(self, name: str, func: Any, args: Any, kwargs: Any) -> Value:
        if name in _READ:
            raise NotImplementedError("which makes a Python value of a tensor: all neurons must do the same")
        written = [arg for arg, of in zip(args, func._schema.arguments, strict=False) if _writes(of)]
        if any(tensor.data_ptr() in self._given for tensor in written):
            raise NotImplementedError("which changes an argument of the step in place")
        if name == "lift_fresh" and args[0].data_ptr() not in self._values:  # torch.tensor(number) inside the step
            self._checked(args[0])
            return self.literal(args[0].item())
        if name in _FILLED or name in _ZEROS or name in _ONES:
            return self._operand(args[_FILLED[name]] if name in _FILLED else name in _ONES)
        if name not in _SAME and name not in RULES:
            raise NotImplementedError("which no fused engine knows")
        if name in _SAME:
            return self._operand(args[0])
        operands = [None if arg is None else self._operand(arg) for arg in args]
        try:
            return RULES[name](self, *operands, **kwargs)
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

    def result(self, tensor: Tensor) -> Value:
        """Value of a tensor that the step returns."""
        try:
            if self._checked(tensor) == "f":
                return self.real(tensor)
        except NotImplementedError:
            pass
        raise Untraceable(f"it returns {list(tensor.shape)} in {tensor.dtype} for {list(self.shape)} in {self.dtype}")

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


def _writes(argument: Any) -> bool:
    return argument.alias_info is not None and argument.alias_info.is_write

"""Records the operations of a step that runs on small tensors, and refuses what is no operation on each element."""

from __future__ import annotations

import ctypes
import traceback
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from litspike.engine.ir.operations import OPERATIONS, RULES, Value
from litspike.engine.ir.program import Node
from litspike.engine.ir.surroundings import Untraceable, place

_SAME = frozenset({"detach", "alias", "clone", "lift_fresh", "expand", "_to_copy"})  # give the value they are given
_FILLED = {"scalar_tensor": 0, "full": 1, "full_like": 1, "new_full": 2, "fill": 1}  # and which argument fills them
_CONSTANT = {f"{prefix}{name}{suffix}": float(name == "ones") for name in ("zeros", "ones") for prefix, suffix in
             (("", ""), ("", "_like"), ("new_", ""))}  # fmt: skip
_READ = frozenset(  # make a Python value of a tensor
    {"_local_scalar_dense", "is_nonzero", "equal", "allclose", "item", "tolist", "numpy", "__bool__", "__float__"}
    | {"__int__", "__index__", "__complex__", "__array__", "__contains__", "__repr__", "__format__"}
)
_PARTS = frozenset({"__getitem__", "__setitem__"})  # which may be all of a small tensor
_SILENT = frozenset(  # what may be asked of a tensor without an operation: it is the same for all elements
    {"dtype", "device", "data", "is_floating_point", "is_complex", "element_size", "contiguous", "to", "type_as"}
    | {"float", "double", "cpu"}
)
_PYTHON_VALUE = "which makes a Python value of a tensor: all neurons must do the same"


def _refusal(problem: str) -> Untraceable:
    """A problem with its line in the user's files: that of the innermost frame outside of torch and the engine."""
    stack = reversed(traceback.extract_stack())
    lines = filter(None, (place(frame.filename, frame.lineno, frame.line) for frame in stack))
    return Untraceable(f"{problem} {next(lines, '')}".rstrip())


class Queries(TorchFunctionMode):
    """Refuses what a step asks of a tensor without an operation, such as its shape: it is not of one element."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = len(self.recorder.alive)
        name = func.__self__.__name__ if func.__name__ == "__get__" else func.__name__
        if name in _READ:
            raise _refusal(f"{name} of a tensor, {_PYTHON_VALUE}")
        if name in _PARTS:
            raise _refusal(f"{name} of a tensor, which takes a part of it")
        try:
            result = func(*args, **(kwargs or {}))
        except (ValueError, TypeError, IndexError) as problem:
            raise _refusal(f"{name}: {problem}") from problem
        if len(self.recorder.alive) == before and name not in _SILENT:
            raise _refusal(f"{name} of a tensor, which is no operation on each element")
        return result


class Recorder(TorchDispatchMode):
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
            raise _refusal(f"{full}, {problem}") from None
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
            raise NotImplementedError(_PYTHON_VALUE)
        written = [arg for arg, of in zip(args, func._schema.arguments, strict=False) if _writes(of)]
        if any(tensor.data_ptr() in self._given for tensor in written):
            raise NotImplementedError("which changes an argument of the step in place")
        if name == "lift_fresh" and args[0].data_ptr() not in self._values:  # torch.tensor(number) inside the step
            self._checked(args[0])
            return self.literal(args[0].item())
        if name in _CONSTANT:
            return self.literal(_CONSTANT[name])
        if name in _SAME or name in _FILLED:
            return self._operand(args[_FILLED.get(name, 0)])
        if name not in RULES:
            raise NotImplementedError("which no fused engine knows")
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

"""Finds what a step reads beside its arguments, from its code and the objects that it names, before it is run.

A step that reads only known values, which are the same after it has run, does the same at every time step. A random
number generator, a clock, a file or an iterator is refused, as its values can't be known.
"""

from __future__ import annotations

import dis
import enum
import functools
import linecache
import os
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

_FOREIGN = (os.path.dirname(torch.__file__), os.path.dirname(os.path.dirname(__file__)))  # files that no user wrote
_MISSING = object()
_PLAIN: set[type] = {
    *(type(None), type(...), type(NotImplemented), bool, int, float, complex, str, bytes, range, slice),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size, types.GenericAlias, types.UnionType),
}
_CLASSES = frozenset({"builtins", "itertools", "collections", "functools", "operator", "typing", "abc", "enum"})
_FUNCTIONS = frozenset({"math", "cmath", "_operator", "_functools", "itertools", "torch._C._nn", "torch._C._special"})
_TORCH = frozenset({"torch.nn.functional", "torch.functional", "torch._tensor", "torch._jit_internal"})
_OUTSIDE = frozenset(  # builtins that read, or write, what no one can follow
    {"breakpoint", "compile", "delattr", "dir", "eval", "exec", "getattr", "globals", "id", "input", "locals"}
    | {"memoryview", "open", "print", "setattr", "vars", "__import__"}
)
_DESCRIPTORS = (
    *(types.GetSetDescriptorType, types.MemberDescriptorType, types.MethodDescriptorType),
    *(types.WrapperDescriptorType, types.ClassMethodDescriptorType),
    type(dis.Instruction.opname),  # of a field of a named tuple
)
_NEVER = frozenset(  # methods that an expression does not call
    {"__init_subclass__", "__class_getitem__", "__set_name__", "__repr__", "__str__", "__reduce__", "__reduce_ex__"}
    | {"__getstate__", "__setstate__", "__deepcopy__", "__copy__", "__dir__", "__format__", "__sizeof__", "__del__"}
)
_MAKING = frozenset({"__init__", "__new__", "__post_init__"})


class Untraceable(Exception):
    """A step is not made of known scalar operations. The message names the operation and its line."""


class Surroundings:
    """All that a step may read beside its arguments, as it is now.

    Code is read, and not run: the names in it are looked up in its globals, its closure, and the objects that are
    reached in this way. Modules of litspike and torch are taken to stay as they are.

    Raises:
        Untraceable: if the step may read something that can't be shown to be the same every time.
    """

    def __init__(self, step: Callable[..., Any]) -> None:
        self._names: dict[str, str] = {"__call__": ""}  # of attributes, with the place of one that reads it
        self._spaces: list[tuple[Any, bool]] = []  # where attributes are found, and whether they may change
        self._stored: set[str] = set()  # names of attributes that are set
        self._facts: list[tuple[Any, str, Any]] = []  # a namespace, a name and its value
        self._cells: list[tuple[types.CellType, Any]] = []
        self._containers: list[tuple[Any, list[Any]]] = []
        self._seen: dict[int, Any] = {}
        self._queue: list[tuple[Any, str, str]] = [(step, "", "")]
        while self._queue:
            value, name, place = self._queue.pop()
            if id(value) not in self._seen:
                self._seen[id(value)] = value
                if (problem := self._visit(value)) is not None:
                    raise Untraceable(f"it reads {name or type(value).__name__}, {problem} {place}".rstrip())

    def same(self) -> bool:
        """Whether nothing was changed since."""
        if not (self._facts or self._cells or self._containers):
            return True
        return (
            all(_read(space).get(name, _MISSING) is value for space, name, value in self._facts)
            and all(_content(cell) is value for cell, value in self._cells)
            and all(list(map(id, _items(container))) == list(map(id, items)) for container, items in self._containers)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Undo what a step that was run has changed, and refuse it."""
        if not self.same():
            self._restore()
            if kind is None:
                raise Untraceable("it changes something beside its results")

    def _restore(self) -> None:
        for space, name, value in self._facts:
            if _read(space).get(name, _MISSING) is value:
                continue
            if isinstance(space, type):
                delattr(space, name) if value is _MISSING else setattr(space, name, value)
            elif value is _MISSING:
                del space[name]
            else:
                space[name] = value
        for cell, value in self._cells:
            if value is not _MISSING:
                cell.cell_contents = value
        for container, items in self._containers:
            container.clear()
            if isinstance(container, dict):
                container.update(zip(items[::2], items[1::2], strict=True))
            else:
                (container.extend if isinstance(container, list) else container.update)(items)

    def _visit(self, value: Any) -> str | None:
        """Inspect a value; returns what is wrong with it where it can't be inspected."""
        kind = type(value)
        if kind in _PLAIN or isinstance(value, (Tensor, enum.Enum, _DESCRIPTORS, torch._ops.OpOverloadPacket)):
            return None  # a tensor is seen by the trace, once an operation takes it
        if kind in (list, dict, set):
            self._containers.append((value, _items(value)))
        parts = _parts(value)
        if parts is not None:
            name = getattr(value, "__qualname__", "")
            self._queue += [(part, name, "") for part in parts]
            return None
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.BuiltinFunctionType):
            return self._builtin(value)
        if isinstance(value, types.ModuleType):
            self._space(vars(value), not _ours(value.__name__))
            return None
        if isinstance(value, type):
            return self._class(value, making=not issubclass(value, nn.Module))
        return self._instance(value)

    def _function(self, function: types.FunctionType) -> str | None:
        module = function.__module__ or ""
        if module.partition(".")[0] == "torch":
            return None if module in _TORCH else "which is no operation on tensors"
        if module == "litspike.engine.modes":
            return None  # it asks what torch is doing, and gives the same values whatever that is
        self._space(vars(function), not _ours(module))
        self._queue += [(part, function.__name__, "") for part in (function.__defaults__, function.__kwdefaults__)]
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        for name, cell in cells.items():
            value = _content(cell)
            if not _ours(module):
                self._cells.append((cell, value))
            if value is not _MISSING:
                self._queue.append((value, name, _line(function.__code__)))
        self._code(function.__code__, function.__globals__)
        return None

    def _code(self, code: types.CodeType, space: dict[str, Any]) -> None:
        for instruction in dis.get_instructions(code):
            name = instruction.argval
            place = _line(code, instruction.positions.lineno if instruction.positions else None)
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"):
                self._global(name, space, place)
            elif instruction.opname == "IMPORT_NAME":
                self._queue.append((sys.modules.get(name, _MISSING), name, place))
            elif isinstance(name, str) and name in code.co_names:
                self._attribute(name, instruction.opname in ("STORE_ATTR", "DELETE_ATTR"), place)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant, space)

    def _global(self, name: str, space: dict[str, Any], place: str) -> None:
        builtins = space.get("__builtins__", {})
        builtins = vars(builtins) if isinstance(builtins, types.ModuleType) else builtins
        if not _ours(space.get("__name__", "")):
            self._facts.append((space, name, space.get(name, _MISSING)))
        self._queue.append((space.get(name, builtins.get(name)), name, place))

    def _attribute(self, name: str, sets: bool, place: str) -> None:
        new = name not in self._names or (sets and name not in self._stored)
        self._names.setdefault(name, place)
        if sets:
            self._stored.add(name)
        if new:
            for space, changes in self._spaces:
                self._check_space(space, changes, name)

    def _builtin(self, function: types.BuiltinFunctionType) -> str | None:
        owner = function.__self__
        if isinstance(owner, types.ModuleType):
            name = owner.__name__
            known = name in _FUNCTIONS or (name == "builtins" and function.__name__ not in _OUTSIDE)
        elif owner is None or isinstance(owner, type):  # an operation of torch, or a method of a class
            known = function.__module__ == "torch" or isinstance(owner, type)
        else:
            known = True
            self._queue.append((owner, function.__qualname__, ""))
        return None if known else "of which it can't be shown that it gives the same every time"

    def _class(self, kind: type, making: bool) -> str | None:
        for base in kind.__mro__:
            module = base.__module__
            if module in _CLASSES or module.partition(".")[0] == "torch":
                continue
            if _compiled(module):
                return f"whose class {base.__qualname__} can't be inspected"
            self._space(base, not _ours(module))
            whole = issubclass(kind, torch.autograd.Function)
            for name, value in vars(base).items():
                special = name.startswith("__") and name.endswith("__") and name not in _NEVER and not _ours(module)
                if isinstance(value, (types.FunctionType, staticmethod, classmethod)) and (
                    whole or (special and (making or name not in _MAKING))
                ):
                    self._queue.append((value, f"{base.__qualname__}.{name}", ""))
        return None

    def _instance(self, value: Any) -> str | None:
        kind = type(value)
        module = kind.__module__
        if value is _MISSING or kind.__mro__[0].__module__ in _CLASSES or module.partition(".")[0] == "torch":
            return "which can't be shown to be the same every time"
        if (problem := self._class(kind, making=False)) is not None:
            return problem
        if hasattr(value, "__dict__"):
            self._space(vars(value), not _ours(module))
        if isinstance(value, nn.Module):
            self._queue += [(module, name, "") for name, module in value._modules.items()]
            if not hasattr(kind, "step"):  # no neuron, whose step calls no layer
                self._names.setdefault("forward", "")
        slots = [getattr(base, "__slots__", ()) for base in kind.__mro__]
        names = [name for names in slots for name in ([names] if isinstance(names, str) else names)]
        self._queue += [(getattr(value, n, None), n, "") for n in names if n not in ("__dict__", "__weakref__")]
        self._queue += [(part, kind.__qualname__, "") for part in (value if isinstance(value, tuple) else ())]
        return None

    def _space(self, space: Any, changes: bool) -> None:
        self._spaces.append((space, changes))
        for name in list(self._names):
            self._check_space(space, changes, name)

    def _check_space(self, space: Any, changes: bool, name: str) -> None:
        if not changes and name.startswith("__") and name != "__call__":
            return
        value = _read(space).get(name, _MISSING)
        if changes and (value is not _MISSING or (name in self._stored and "__name__" not in _read(space))):
            self._facts.append((space, name, value))
        if value is not _MISSING:
            self._queue.append((value, name, self._names[name]))


def _read(space: Any) -> Mapping[str, Any]:
    return vars(space) if isinstance(space, type) else space


def _parts(value: Any) -> list[Any] | None:
    """What a value that does nothing by itself is made of."""
    if type(value) in (tuple, frozenset, list, dict, set):
        return _items(value)
    if isinstance(value, (types.MethodType, staticmethod, classmethod)):
        return [value.__func__, getattr(value, "__self__", None)]
    if isinstance(value, types.MethodWrapperType):
        return [value.__self__]
    if isinstance(value, property):
        return [value.fget, value.fset]
    return [value.func, value.args, value.keywords] if isinstance(value, functools.partial) else None


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return _MISSING


def _items(container: Any) -> list[Any]:
    return [part for item in container.items() for part in item] if isinstance(container, dict) else list(container)


def _ours(module: str) -> bool:
    return module.partition(".")[0] in ("litspike", "torch")


@functools.cache
def _compiled(name: str) -> bool:
    """Whether a module is not written in Python."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    return name in sys.builtin_module_names or (isinstance(file, str) and not file.endswith((".py", ".pyc")))


def _line(code: types.CodeType, number: int | None = None) -> str:
    number = number or code.co_firstlineno
    return place(code.co_filename, number, linecache.getline(code.co_filename, number).strip())


def place(file: str, number: int | None, line: str | None) -> str:
    """How an error names a line that a user wrote; empty for another's."""
    return "" if file.startswith((*_FOREIGN, "<")) else f"({file}:{number}: {line})"

"""A network as a list of its layers and sums: what goes where, found by sending a few steps through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn, cast

import torch
from torch import Tensor, nn

from litspike.export.artefact import Refused, forward_of
from litspike.internals.torch import has_forward_hooks
from litspike.networks.sequence import Pass, SpikingNetwork
from litspike.networks.stepwise import StepByStep


class Node(NamedTuple):
    """One layer, or one sum of two tensors."""

    layer: nn.Module | None
    """The layer; None of a sum."""
    inputs: tuple[int, ...]
    """Numbers of the tensors that it takes: 0 is the network's input, k what node k − 1 puts out.

    That of a :class:`StepBefore` may be the number of a later one.
    """
    shape: torch.Size
    """Of what it puts out for one sample at one step, [*]."""
    name: str
    """The layer's name in the network, as ``named_modules`` has it."""

    @property
    def place(self) -> str:
        """Its name in messages."""
        return "a sum" if self.layer is None else f"{self.name} ({type(self.layer).__name__})"


class StepBefore(nn.Module):
    """Stands for a tensor as it was the step before, in a loop through several layers."""


class Graph(NamedTuple):
    """The nodes in the order of their use, the shape of the input, and the number of the tensor that comes out."""

    shape: torch.Size
    nodes: list[Node]
    output: int


@torch.no_grad()
def graph_of(format: str, network: nn.Module, x: Tensor) -> Graph:
    r"""The layers of a network and what goes where.

    Args:
        format: name of the format, for the error.
        network: in evaluation mode.
        x: some input, [T, B, \*].

    Raises:
        Refused: if the network's layers can't be found, or it does more with tensors than add them.
    """
    if not isinstance(network, SpikingNetwork) or forward_of(network) is not SpikingNetwork.forward:
        kind = type(network).__name__
        raise Refused(format, "model.network", f"{kind} has a forward of its own, in which no layers can be found")
    recording = _Recording(format, network)
    wire: Any = _Wire(x, 0, recording)  # it stands for a tensor
    result: Any = network.through(wire, recording)
    if not isinstance(result, _Wire):
        raise Refused(format, "model.network", f"{type(network).__name__}.through returns what no layer made")
    return Graph(x.shape[2:], recording.nodes, result.number)


class _Recording(Pass):
    """A pass that notes each layer."""

    def __init__(self, format: str, network: nn.Module) -> None:
        super().__init__(None)
        self.format, self.nodes = format, list[Node]()
        self._names = {module: name for name, module in network.named_modules()}

    def __call__(self, layer: nn.Module, x: Any) -> Any:
        if not isinstance(x, _Wire):
            raise Refused(self.format, "model.network", "a layer takes a tensor that no layer made")
        if isinstance(layer, SpikingNetwork):
            return layer.through(cast(Tensor, x), self)
        if isinstance(layer, StepByStep):
            return self._loop(layer, x)
        name = self._names.get(layer, "a layer made in the pass")
        if has_forward_hooks(layer):
            raise Refused(self.format, f"{name} ({type(layer).__name__})", "a hook runs when it is called")
        return self.note(layer, (x,), super().__call__(layer, x.value), name)

    def _loop(self, loop: StepByStep, x: _Wire) -> Any:
        before = {name: self.note(StepBefore(), (), value, name) for name, value in loop.at_rest(x.value).items()}
        given: Any = x, before  # they stand for tensors
        y, after = loop.once(given[0], self, given[1])
        ends: Any = after
        for name, wire in before.items():
            self.nodes[wire.number - 1] = self.nodes[wire.number - 1]._replace(inputs=(ends[name].number,))
        return y

    def note(self, layer: nn.Module | None, inputs: Sequence[_Wire], value: Tensor, name: str = "") -> _Wire:
        self.nodes.append(Node(layer, tuple(wire.number for wire in inputs), value.shape[2:], name))
        return _Wire(value, len(self.nodes), self)


class _Wire:
    """Stands for a tensor in ``through``: it may be given to layers, and added."""

    def __init__(self, value: Tensor, number: int, recording: _Recording) -> None:
        self.value, self.number, self.recording = value, number, recording

    def __add__(self, other: Any) -> _Wire:
        if not isinstance(other, _Wire) or other.value.shape != self.value.shape:
            self._refuse("adds something else than what a layer of the same shape puts out")
        return self.recording.note(None, (self, other), self.value + other.value)

    def __radd__(self, other: Any) -> _Wire:
        return self if isinstance(other, int) and other == 0 else self + other  # where sum() begins

    def __getattr__(self, name: str) -> NoReturn:
        self._refuse(f"takes .{name} of a tensor; layers and sums alone can be written")

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> NoReturn:
        flat = [*args, *(item for item in args if isinstance(item, (tuple, list)) for item in item)]
        wire = next(item for item in flat if isinstance(item, cls))
        wire._refuse(f"calls {function.__name__}; layers and sums alone can be written")

    def _refuse(self, why: str) -> NoReturn:
        raise Refused(self.recording.format, "model.network", f"its through {why}")


def _refusing(name: str) -> Any:
    return lambda self, *_: self._refuse(f"takes .{name} of a tensor; layers and sums alone can be written")


for _name in ("sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "matmul", "pow", "neg", "getitem", "iter", "len"):
    setattr(_Wire, f"__{_name}__", _refusing(f"__{_name}__"))

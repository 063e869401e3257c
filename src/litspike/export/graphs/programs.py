"""The two programs of a network: a whole sample, and one step of the network."""

from __future__ import annotations

import copy
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from litspike.export.artefact import Refused, Subject
from litspike.export.graphs.layers import Looped, PlainNeurons, Power, Stepped, replaced
from litspike.export.traced import Traced, traced_layer
from litspike.networks.sequence import StatefulLayer, neuron_layers

_BATCH = 3
"""Samples that the programs are made with; they take any number."""


class Programs:
    """A network's programs, made of the operations of its layers alone.

    Args:
        format: the format's name, for an error.
        subject: what is exported.
        power: 2 to an integer power.

    Raises:
        Refused: if torch can't make a program of it, or something in it isn't torch's own.
    """

    def __init__(self, format: str, subject: Subject, power: Power) -> None:
        self.format, self.subject, self.power = format, subject, power
        used = dict(zip(subject.names, zip(subject.shapes, subject.labels, strict=True), strict=True))
        network, readout = subject.task.network, subject.task.readout
        for name, layer in network.named_modules():
            if isinstance(layer, StatefulLayer):
                raise Refused(format, f"{name} ({type(layer).__name__})", "its state has no place in a step's program")
        self.layers = {name: self._traced(network.get_submodule(name), *used[name]) for name in used}
        shape = subject.answer.outputs.shape[2:]
        self.reading = {name: self._traced(layer, shape, "model.readout") for name, layer in neuron_layers(readout)}
        self.sample = torch.cat([subject.samples] * _BATCH)
        self.moving = subject.is_sequence()

    def _traced(self, layer: nn.Module, shape: torch.Size, place: str) -> Traced:
        return traced_layer(self.format, layer, shape, place)

    def _plain(self, kind: type[PlainNeurons]) -> nn.Module:
        """The network with layers of a kind in place of its own."""
        network = copy.deepcopy(self.subject.task.network)
        replaced(network, {name: kind(traced, self.power) for name, traced in self.layers.items()})
        return network.eval()

    def states(self) -> dict[str, Tensor]:
        """Name of each state of the step → its value at rest for one sample, [1, *], in the order of the step."""
        found: dict[str, Tensor] = {}
        for number, (name, shape) in enumerate(zip(self.subject.names, self.subject.shapes, strict=True), start=1):
            traced = self.layers[name]
            rest = Stepped(traced, self.power).at_rest(torch.zeros(1, *shape))
            names = [*traced.states, *([] if traced.connections is None else ["last"])]
            found |= {f"layer{number}_{state}": value for state, value in zip(names, rest, strict=True)}
        return found

    def about(self) -> dict[str, Any]:
        """What is to be known of the shapes."""
        size = list(self.sample.shape[1:])
        time = "T" if self.moving else str(self.subject.steps)
        shape = ["batch", *(["T", *size[1:]] if self.moving else size)]
        states = {name: list(value.shape[1:]) for name, value in self.states().items()}
        return {
            "sample": f"[{', '.join(map(str, shape))}]",
            "outputs": f"[{', '.join(map(str, [time, 'batch', *self.subject.answer.outputs.shape[2:]]))}]",
            "states of a step": ", ".join(f"{name} [batch, {', '.join(map(str, of))}]" for name, of in states.items()),
        }

    @torch.no_grad()
    def whole(self) -> ExportedProgram:
        """Samples [B, *] → the readout's values [B, *] and the network's outputs [T, B, *]."""
        task = self.subject.task
        readout = copy.deepcopy(task.readout)
        replaced(readout, {name: Looped(traced, self.power) for name, traced in self.reading.items()})
        module = _Whole(task.encoder, self._plain(Looped), readout, task.in_unit).eval()
        dims: dict[int, Any] = {0: Dim.DYNAMIC, **({1: Dim.DYNAMIC} if self.moving else {})}
        return self._exported(module, (self.sample,), (dims,))

    @torch.no_grad()
    def step(self) -> ExportedProgram:
        """The network's input [B, *] and its states, each [B, *] → its output [B, *] and the states after it."""
        current = self.subject.task.encoder(self.sample)[0].clone()
        states = [value.expand(_BATCH, *value.shape[1:]).clone() for value in self.states().values()]
        sizes = [
            len(self.layers[name].states) + (self.layers[name].connections is not None) for name in self.subject.names
        ]
        module = _Step(self._plain(Stepped), sizes).eval()
        every: dict[int, Any] = {0: Dim.DYNAMIC}
        return self._exported(module, (current, *states), (every, tuple(every for _ in states)))

    def _exported(self, module: nn.Module, example: tuple[Tensor, ...], dims: Any) -> ExportedProgram:
        try:
            with quiet():
                torch.compiler.reset()  # what an earlier program has fixed of its shapes would be fixed in this one
                program = torch.export.export(module, example, dynamic_shapes=dims)
        except Exception as problem:  # torch raises whatever it doesn't know
            raise Refused(
                self.format, "model", f"torch.export can't make a program of it: {first_line(problem)}"
            ) from problem
        for graph in program.graph_module.modules():
            for node in getattr(getattr(graph, "graph", None), "nodes", ()):
                space = getattr(node.target, "namespace", "aten") if node.op == "call_function" else "aten"
                if space not in ("aten", "prims", "higher_order", "builtins", "_operator"):
                    raise Refused(self.format, "model", f"it holds {node.target}, which isn't torch's own")
        return program


def first_line(problem: Exception) -> str:
    """What an error of torch's exporters says, in a line without colours."""
    text = re.sub(r"\x1b\[\d*m", "", str(problem)).strip()
    missing = re.search(r"No ONNX function found for <OpOverload\(op='([^']+)'", text)
    if missing:
        return f"ONNX has nothing for {missing[1]}"
    return (text.splitlines() or [type(problem).__name__])[0][:200]


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch's exporters say of themselves."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class _Whole(nn.Module):
    def __init__(self, encoder: nn.Module, network: nn.Module, readout: nn.Module, in_unit: Any) -> None:
        super().__init__()
        self.encoder, self.network, self.readout, self.in_unit = encoder, network, readout, in_unit

    def forward(self, sample: Tensor) -> tuple[Tensor, Tensor]:
        outputs, _ = self.network(self.encoder(sample))
        return self.in_unit(self.readout(outputs)), outputs


class _Step(nn.Module):
    def __init__(self, network: nn.Module, sizes: list[int]) -> None:
        super().__init__()
        self.network, self.sizes = network, sizes

    def forward(self, input: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        given = iter(states)
        nested = tuple(tuple(next(given) for _ in range(size)) for size in self.sizes)
        outputs, after = self.network(input.unsqueeze(0), nested)
        return outputs[0], *(state for layer in after for state in layer)

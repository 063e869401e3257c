"""From the layers of a network to the nodes that NIR has for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from litspike.export.artefact import Refused, forward_of
from litspike.export.graph import Graph, StepBefore
from litspike.export.graph import Node as Layer
from litspike.export.nir.layers import LAYERS, Fields, affine, array, average, per_channel, total, window
from litspike.export.nir.nodes import Target, node_of
from litspike.export.nir.updates import ONE, Notes, Unsayable, update_of
from litspike.internals.torch import BatchNorm
from litspike.networks import TimeDropout
from litspike.networks.nir.dialects import Update
from litspike.networks.quantised import scale_and_offset
from litspike.neurons import Neuron, NeuronLayer, Recurrent

FORMAT = "nir"


class Node(NamedTuple):
    """A node of NIR."""

    kind: str
    fields: Fields
    inputs: list[str]
    """Names of the nodes that it takes the sum of."""
    inside: list[tuple[str, Node]] | None = None
    """The nodes of a graph inside the graph."""


class Lowered(NamedTuple):
    """A network as nodes of NIR."""

    nodes: dict[str, Node]
    outputs: list[str]
    """Names of the nodes whose sum comes out."""
    neurons: list[str]
    """Names of the nodes of the layers of neurons, in the order of their use, those inside a graph with its name."""
    same: bool
    """Whether all numbers are those of the network, none made of others."""


def lowered(graph: Graph, labels: Sequence[str], target: Target, notes: Notes) -> Lowered:
    """The nodes in the order of their use.

    Raises:
        Refused: if there is none for a layer.
    """
    return _Lowering(graph, labels, target, notes).lowered()


class _Lowering:
    """One network on its way to nodes."""

    def __init__(self, graph: Graph, labels: Sequence[str], target: Target, notes: Notes) -> None:
        self.graph, self.target, self.notes = graph, target, notes
        self.labels = iter(labels)
        self.shapes = [graph.shape, *(node.shape for node in graph.nodes)]
        self.sources: list[list[str]] = [["input"]]
        """For each tensor, names of the nodes that it is the sum of."""
        self.nodes: dict[str, Node] = {"input": Node("Input", {"shape": np.array(graph.shape)}, [])}
        self.late: dict[str, int] = {}
        """What stands for a tensor a step late → the tensor's number."""
        self.neurons: list[str] = []
        self.binary: set[str] = set()
        """Nodes that put out 0 and 1 alone."""
        self.same = True

    def lowered(self) -> Lowered:
        for layer in self.graph.nodes:
            place = layer.place
            if isinstance(layer.layer, NeuronLayer):
                place = next(self.labels)
            before = len(self.notes.made)
            try:
                self.sources.append(self._sources(layer))
            except Unsayable as problem:
                way_out = f"; --approximate writes it as {problem.instead}" if problem.instead else ""
                raise Refused(FORMAT, place, f"{problem}{way_out}") from problem
            self.notes.made[before:] = [f"{place}: {note}" for note in self.notes.made[before:]]
        outputs = self._once(self.sources[self.graph.output], self.shapes[self.graph.output])
        for name, node in list(self.nodes.items()):
            self.nodes[name] = node._replace(inputs=self._known(node.inputs))
        return Lowered(self.nodes, outputs, self.neurons, self.same)

    def _known(self, names: list[str]) -> list[str]:
        """The same with the nodes in place of what stands for them, in a loop."""
        found = list(names)
        for name in self.late.keys() & set(names):
            at, number = found.index(name), self.late[name]
            found = self._once([*found[:at], *self.sources[number], *found[at + 1 :]], self.shapes[number])
        return found

    def _sources(self, layer: Layer) -> list[str]:
        """The nodes that a layer's output is the sum of."""
        if layer.layer is None:
            return [name for number in layer.inputs for name in self.sources[number]]
        (number,) = layer.inputs
        if isinstance(layer.layer, StepBefore):
            self.target.only("a loop through several layers", "snntorch", "spikingjelly", "norse")
            self.late[f"\0{layer.name}"] = number  # no node has such a name
            return [f"\0{layer.name}"]
        forward = forward_of(layer.layer)
        if forward in _SAME:
            return self.sources[number]
        if isinstance(layer.layer, NeuronLayer):
            return [self._neurons(layer, number)]
        if forward is BatchNorm.forward:
            return [self._batch_norm(layer, number)]
        if forward in _MAXIMA:
            return [self._maximum(layer, number)]
        lower = LAYERS.get(forward)
        if lower is None:
            raise Unsayable(type(layer.layer).__name__, "is none of NIR's nodes")
        kind, fields = lower(layer.layer, self.shapes[number], layer.shape, self.target)
        return [self._add(layer.name, kind, fields, number)]

    def _add(self, name: str, kind: str, fields: Fields, number: int) -> str:
        return self._put(name, Node(kind, fields, self._once(self.sources[number], self.shapes[number])))

    def _put(self, name: str, node: Node) -> str:
        base = own = name.replace(".", "_")
        count = 1
        while own in self.nodes or own in ("input", "output"):
            count += 1
            own = f"{base}_{count}"
        self.nodes[own] = node
        return own

    def _once(self, sources: list[str], shape: Sequence[int]) -> list[str]:
        """Sources without one that is there several times: an edge can be there once."""
        found = []
        for name in dict.fromkeys(sources):
            times = sources.count(name)
            if times > 1:
                self.target.only("the same output twice in a sum")
                scale = np.full(tuple(shape), times, np.float32)
                name = self._put(f"{name}_times_{times}", Node("Scale", {"scale": scale}, [name]))
            found.append(name)
        return found

    def _neurons(self, layer: Layer, number: int) -> str:
        neurons: Any = layer.layer
        shape = layer.shape
        connections: Any = None
        if isinstance(neurons, Recurrent):
            connections, neurons = neurons.connections, neurons.neuron
            plain = forward_of(neurons) is Neuron.forward and connections is not None
            if not plain or forward_of(connections) is not nn.Linear.forward or type(layer.layer) is not Recurrent:
                raise Unsayable("a forward of its own", "can't be written")
        kind, fields = node_of(update_of(neurons, self.notes), shape, self.target, self.notes)
        if connections is None:
            name = self._add(layer.name, kind, fields, number)
            self.neurons.append(name)
        else:
            name = self._recurrent(layer, number, (kind, fields), connections)
            self.neurons.append(f"{name}.lif")
        if kind in ("IF", "LIF", "CubaLIF") and not self.target.convention.several:
            self.binary.add(name)
        return name

    def _recurrent(self, layer: Layer, number: int, neurons: tuple[str, Fields], connections: nn.Linear) -> str:
        """A graph of neurons with connections back to them."""
        self.target.only("connections to itself", "snntorch", "spikingjelly", "norse")
        if len(layer.shape) != 1:
            raise Unsayable("connections to itself over an image", "have no place in NIR")
        weight, bias = connections.weight, connections.bias
        kind, fields = affine(weight, bias)
        if bias is not None and self.target.dialect is not None:
            # their readers leave out what comes back before the first step, and with it the bias
            self._add_bias(number, bias)
            kind, fields = affine(weight, None)
        size = np.array(layer.shape)
        inside = [
            ("input", Node("Input", {"shape": size}, [])),
            ("lif", Node(*neurons, ["input", "w_rec"])),
            ("w_rec", Node(kind, fields, ["lif"])),
            ("output", Node("Output", {"shape": size}, ["lif"])),
        ]
        sources = self._once(self.sources[number], self.shapes[number])
        return self._put(layer.name, Node("NIRGraph", {}, sources, inside))

    def _add_bias(self, number: int, bias: torch.Tensor) -> None:
        """Let the layer before add a bias."""
        feeding = self.nodes.get(self.sources[number][0]) if len(self.sources[number]) == 1 else None
        if feeding is None or feeding.kind not in ("Linear", "Affine") or self._users(self.sources[number][0]) != 1:
            raise Unsayable("bias: true of connections to itself", "is nothing that the reader knows without a Linear")
        before = feeding.fields.get("bias", np.zeros(len(bias), np.float32))
        fields = {**feeding.fields, "bias": before + array(bias)}
        self.nodes[self.sources[number][0]] = feeding._replace(kind="Affine", fields=fields)
        self.same = False

    def _users(self, name: str) -> int:
        """How often the output of a node is used, as far as can be seen from here."""
        tensors = [number for number, sources in enumerate(self.sources) if name in sources]
        used = sum(number == self.graph.output for number in tensors)
        for place, layer in enumerate(self.graph.nodes):
            passed = place < len(self.sources) - 1 and (layer.layer is None or forward_of(layer.layer) in _SAME)
            used += 0 if passed else sum(layer.inputs.count(number) for number in tensors)
        return used

    def _batch_norm(self, layer: Layer, number: int) -> str:
        norm: Any = layer.layer
        if norm.running_mean is None:
            raise Unsayable("track_running_stats: false", "normalises by the batch that comes")
        self.same = False
        scale, shift = (part.numpy() for part in scale_and_offset(norm))
        sources, shape = self.sources[number], self.shapes[number]
        feeding = self.nodes[sources[0]]
        foldable = len(sources) == 1 and feeding.kind in ("Linear", "Affine", "Conv1d", "Conv2d")
        if foldable and self._users(sources[0]) == 1:
            weight = feeding.fields["weight"]
            bias = feeding.fields.get("bias", np.zeros(len(weight)))
            fields = {
                **feeding.fields,
                "weight": (weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))).astype(np.float32),
                "bias": (bias * scale + shift).astype(np.float32),
            }
            kind = "Affine" if feeding.kind == "Linear" else feeding.kind
            self.nodes[sources[0]] = feeding._replace(kind=kind, fields=fields)
            return sources[0]
        if len(shape) == 1:
            fields = {"weight": np.diag(scale).astype(np.float32), "bias": shift.astype(np.float32)}
            return self._add(layer.name, "Affine", fields, number)
        kernel = scale.reshape(-1, *(1,) * len(shape)).astype(np.float32)
        kind, fields = per_channel(kernel, shift.astype(np.float32), shape, self.target)
        return self._add(layer.name, kind, fields, number)

    def _maximum(self, layer: Layer, number: int) -> str:
        """The maximum of spikes: whether there is one in the window, by a sum and a threshold."""
        kind = type(layer.layer).__name__
        if not set(self.sources[number]) <= self.binary or len(self.sources[number]) != 1:
            raise Unsayable(kind, "has no place in NIR, but for a maximum of spikes")
        self.target.only(kind, "snntorch", "spikingjelly", "norse")
        pooling = window(layer.layer, self.shapes[number], layer.shape)
        averaged = self.target.dialect in ("snntorch", "spikingjelly") and len(pooling.kernel) == 2
        node, fields = (average if averaged else total)(pooling, self.shapes[number], self.target)
        pooled = self._add(layer.name, node, fields, number)
        half = np.asarray(0.5 / np.prod(pooling.kernel) if averaged else 0.5)
        made: tuple[str, Fields]
        if self.target.dialect is None:
            made = "Threshold", {"threshold": np.full(tuple(layer.shape), half, np.float32)}
        else:
            made = _without_memory(half, layer.shape, self.target)
        name = self._put(f"{layer.name}_any", Node(*made, [pooled]))
        self.binary.add(name)
        self.same = False
        return name


def _without_memory(threshold: np.ndarray[Any, Any], shape: Sequence[int], target: Target) -> tuple[str, Fields]:
    """Neurons that fire where their input is above a threshold, and keep nothing of what is 0 or above it."""
    update = Update(ONE, ONE, threshold=threshold, fires=target.convention.fires)
    return node_of(update, shape, target, Notes(False))


_SAME = {layer.forward for layer in (nn.Identity, TimeDropout, nn.Dropout, nn.Dropout1d, nn.Dropout2d)}
_MAXIMA = {layer.forward for layer in (nn.MaxPool1d, nn.MaxPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d)}

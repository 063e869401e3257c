"""What goes where in a graph of NIR: graphs inside graphs laid out flat, loops found, nodes in their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from typing import NamedTuple

from litspike.networks.nir.file import FileError, Stored

NEURONS = frozenset({"I", "LI", "IF", "LIF", "CubaLI", "CubaLIF"})
"""Kinds of nodes that are neurons."""
_PASSING = ("Input", "Output")  # of a graph inside another
_DEEPEST = 8


class Node(NamedTuple):
    """A node, and the names of those that it takes the sum of."""

    kind: str
    stored: Stored
    inputs: tuple[str, ...]
    feedback: tuple[Stored, Stored | None] | None = None
    """Weights of connections from the node to itself, and the delay on their way where there is one."""
    before: tuple[str, ...] = ()
    """Names of those whose output of the step before it adds."""


class Plan(NamedTuple):
    """The nodes in the order of their use."""

    nodes: dict[str, Node]
    input: str
    output: str


def plan(graph: Stored) -> Plan:
    """Lay a graph out.

    Raises:
        FileError: if an edge leads nowhere, a node gets nothing, or a loop is none that can be run.
    """
    nodes: dict[str, Stored] = {}
    edges: list[tuple[str, str]] = []
    _lay_out(graph, "", nodes, edges)
    inputs, outputs = (
        [name for name, node in graph.nodes.items() if node.kind == kind] for kind in ("Input", "Output")
    )
    for kind, found in (("Input", inputs), ("Output", outputs)):
        if len(found) != 1:
            raise FileError(f"{len(found)} nodes of kind {kind} ({', '.join(found) or 'none'}): one is read")
    (first,), (last,) = inputs, outputs
    before: dict[str, list[str]] = {name: [] for name in nodes}
    after: dict[str, list[str]] = {name: [] for name in nodes}
    for one, other in edges:
        before[other].append(one)
        after[one].append(other)
    _check_reached(nodes, before, after, first, last)
    made = {name: Node(node.kind, node, tuple(before[name])) for name, node in nodes.items()}
    made = _without_loops(made, first)
    order = TopologicalSorter({name: node.inputs for name, node in made.items()}).static_order()
    return Plan({name: made[name] for name in order}, first, last)


def _lay_out(graph: Stored, prefix: str, nodes: dict[str, Stored], edges: list[tuple[str, str]]) -> None:
    """Add the nodes and edges of a graph, and of those inside it."""
    ends: dict[str, tuple[str, str]] = {}
    for name, node in graph.nodes.items():
        path = f"{prefix}{name}"
        ends[name] = path, path
        if node.kind != "NIRGraph":
            if path in nodes:
                raise FileError(f"{path}: two nodes have this name")
            nodes[path] = node
            continue
        _lay_out(node, f"{path}.", nodes, edges)
        sides = []
        for kind in _PASSING:
            found = [inner for inner, one in node.nodes.items() if one.kind == kind]
            if len(found) != 1:
                raise FileError(f"{path}: {len(found)} nodes of kind {kind}: one is read")
            sides.append(f"{path}.{found[0]}")
        ends[name] = sides[0], sides[1]
    seen = set()
    for one, other in graph.edges:
        for name in (one, other):
            if name not in ends:
                raise FileError(f"an edge from {prefix}{one} to {prefix}{other}, but there is no {prefix}{name}")
        if (one, other) in seen:
            raise FileError(f"two edges from {prefix}{one} to {prefix}{other}")
        seen.add((one, other))
        edges.append((ends[one][1], ends[other][0]))


def _check_reached(
    nodes: Mapping[str, Stored],
    before: Mapping[str, list[str]],
    after: Mapping[str, list[str]],
    first: str,
    last: str,
) -> None:
    if before[first]:
        raise FileError(f"{first}: an Input that {before[first][0]} leads to")
    if after[last]:
        raise FileError(f"{last}: an Output that leads on to {after[last][0]}")
    for name in nodes:
        if name != first and not before[name]:
            raise FileError(f"{name}: no edge leads to it: it gets nothing")
        if name != last and not after[name]:
            raise FileError(f"{name}: no edge leads on from it: what it gives goes nowhere")
    ways = (first, after, "nothing of the input reaches it"), (last, before, "nothing of it reaches the output")
    for start, steps, what in ways:
        missed = nodes.keys() - _reached(start, steps)
        if missed:
            raise FileError(f"{min(missed)}: {what}")


def _reached(start: str, steps: Mapping[str, Iterable[str]]) -> set[str]:
    found, waiting = {start}, [start]
    while waiting:
        for name in steps[waiting.pop()]:
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _without_loops(nodes: dict[str, Node], first: str) -> dict[str, Node]:
    """The nodes without loops.

    One layer of neurons with one layer of weights back to it becomes a layer with connections to itself. In any other
    loop, what leads back to the node at which it is entered comes a step late, as it does in the libraries' readers.
    """
    for _ in range(_DEEPEST):
        loops = _loops(nodes)
        if not loops:
            return nodes
        for loop in loops:
            neuron = _single(nodes, loop)
            nodes = _cut(nodes, loop) if neuron is None else _joined(nodes, loop, neuron, first)
    raise FileError(f"loops inside loops, deeper than the {_DEEPEST} that are read")


def _single(nodes: Mapping[str, Node], loop: set[str]) -> str | None:
    """The neurons of a loop that is one layer of them with one layer of weights back to it; else None."""
    neurons, weights, delays, passing = (
        [name for name in loop if nodes[name].kind in kinds]
        for kinds in (NEURONS, ("Linear", "Affine"), ("Delay",), _PASSING)
    )
    known = len(neurons) + len(weights) + len(delays) + len(passing) == len(loop)
    if not known or len(neurons) != 1 or len(weights) != 1 or len(delays) > 1:
        return None
    users = Counter(one for node in nodes.values() for one in (*node.inputs, *node.before))
    back = [*weights, *delays]
    if any(len(nodes[name].inputs) != 1 or users[name] != 1 for name in back):
        return None
    name = back[0]
    while name != neurons[0]:
        if len(nodes[name].inputs) != 1:
            return None
        (name,) = nodes[name].inputs
    return neurons[0]


def _joined(nodes: dict[str, Node], loop: set[str], neuron: str, first: str) -> dict[str, Node]:
    """The nodes with the weights and the delay of a loop inside its neurons."""
    back = {nodes[name].kind: name for name in loop if nodes[name].kind in ("Linear", "Affine", "Delay")}
    delay = back.get("Delay")
    weights = next(name for name in back.values() if name != delay)
    way = nodes[weights].stored, None if delay is None else nodes[delay].stored
    nodes = {name: node for name, node in nodes.items() if name not in back.values()}
    nodes[neuron] = nodes[neuron]._replace(feedback=way)
    return _without_inputs(nodes, set(back.values()), first)


def _cut(nodes: dict[str, Node], loop: set[str]) -> dict[str, Node]:
    """The nodes of which that at which a loop is entered takes what leads back to it a step late."""
    described = ", ".join(sorted(loop))
    if any(nodes[name].kind == "Delay" for name in loop):
        raise FileError(f"a delay on a loop through several layers, which is a step late already ({described})")
    if not any(nodes[name].kind in NEURONS for name in loop):
        raise FileError(f"a loop without neurons or a delay ({described}): what it gives depends on itself at once")
    entered = sorted(name for name in loop if not loop.issuperset(nodes[name].inputs))
    if len(entered) != 1:
        problem = f"a loop that is entered at {', '.join(entered)}: the file doesn't say where it is a step late"
        raise FileError(f"{problem} ({described})")
    node = nodes[entered[0]]
    inside, outside = (tuple(name for name in node.inputs if (name in loop) is in_loop) for in_loop in (True, False))
    return {**nodes, entered[0]: node._replace(inputs=outside, before=(*node.before, *inside))}


def _without_inputs(nodes: dict[str, Node], gone: set[str], first: str) -> dict[str, Node]:
    """The nodes without inputs from those that are gone, nor what then gets nothing."""
    while gone:
        nodes = {
            name: node._replace(inputs=tuple(one for one in node.inputs if one not in gone))
            for name, node in nodes.items()
        }
        gone = {name for name, node in nodes.items() if not node.inputs and name != first}
        nodes = {name: node for name, node in nodes.items() if name not in gone}
    return nodes


def _loops(nodes: Mapping[str, Node]) -> list[set[str]]:
    """The sets of nodes that can each be reached from all others of the set."""
    after = _after(nodes)
    finished: list[str] = []
    seen: set[str] = set()
    for start in nodes:
        waiting = [(start, False)]
        while waiting:
            name, done = waiting.pop()
            if done:
                finished.append(name)
            elif name not in seen:
                seen.add(name)
                waiting += [(name, True), *((one, False) for one in after[name])]
    found, taken = [], set[str]()
    for start in reversed(finished):
        group, back = set[str](), [start]
        while back:
            name = back.pop()
            if name not in taken:
                taken.add(name)
                group.add(name)
                back += nodes[name].inputs
        if len(group) > 1 or (group and start in nodes[start].inputs):
            found.append(group)
    return found


def _after(nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    """Name of each node → those of the nodes that take its output."""
    after: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for one in node.inputs:
            after[one].append(name)
    return after

"""Export to NIR, the neuromorphic intermediate representation, in its own equations or a library's dialect of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import h5py
import nir
import torch
from torch import Tensor

from litspike.export.artefact import Answer, Artefact, Refused, Run, Subject
from litspike.export.graph import graph_of
from litspike.export.nir.lower import FORMAT, Lowered, Node, lowered
from litspike.export.nir.nodes import Target
from litspike.export.nir.updates import Notes
from litspike.installation import version
from litspike.networks.nir.dialects import DIALECTS, READERS, Integration
from litspike.networks.nir.network import WRITER, FromNIR
from litspike.networks.watch import LayerCall, watched
from litspike.settings import SettingError, number

_STEP = 1e-4
"""Seconds of a step that most readers take for granted."""
_OPEN = ("spikingjelly", "norse")
"""Libraries whose reader takes the duration of a step."""


class NIRFile(Artefact):
    """``NAME.nir``: the network from the encoder's output to the readout's input.

    Args:
        subject: what is exported.
        name: of the file.
        dialect: the library whose reader is to understand it; None for NIR's own equations.
        dt: seconds of a step; that of the dialect where None, else 0.0001.
        discretisation: how the reader integrates the equations; ``euler`` where None and the dialect doesn't say it.
        approximate: whether what has no place is written as what comes nearest to it.

    Raises:
        Refused: for what NIR or the dialect can't say.
        SettingError: if a setting is none of its values, or none that goes with the dialect.
    """

    format = FORMAT

    def __init__(
        self,
        subject: Subject,
        name: str,
        dialect: str | None = None,
        dt: float | None = None,
        discretisation: str | None = None,
        approximate: bool = False,
    ) -> None:
        super().__init__(subject, name)
        if not name or set(name) & set("/\\\0") or name.startswith("."):
            raise Refused(FORMAT, f"name: {name!r}", "is no name of a file")
        self.target = _target(dialect, dt, discretisation)
        self.notes = Notes(approximate)
        graph = graph_of(FORMAT, subject.task.network, subject.first_steps())
        self.lowered: Lowered = lowered(graph, subject.labels, self.target, self.notes)
        self.shape = subject.answer.outputs.shape[2:]

    def write(self, folder: Path) -> None:
        """Write the file."""
        nodes = {name: _node(node) for name, node in self.lowered.nodes.items()}
        nodes["output"] = nir.Output(output_type={"output": _sizes(self.shape)})
        edges = [(source, name) for name, node in self.lowered.nodes.items() for source in node.inputs]
        edges += [(source, "output") for source in self.lowered.outputs]
        graph = nir.NIRGraph(nodes, edges, metadata=self._metadata(), type_check=False)
        path = folder / f"{self.name}.nir"
        nir.write(path, graph)
        if self.target.dialect == "sinabs":  # which needs nir 1.0.4 at most, whose nodes have no v_reset
            with h5py.File(path, "r+") as file:
                for node in file["node/nodes"].values():
                    if "v_reset" in node:
                        del node["v_reset"]

    def _metadata(self) -> dict[str, Any]:
        task = self.subject.task
        return {
            "writer": f"{WRITER} {version()}",
            "dialect": self.target.dialect or "nir",
            "dt": self.target.dt,
            "discretisation": self.target.integration,
            "layout": "one time step of one sample; images are channels, height, width",
            "encoder": type(task.encoder).__name__,
            "readout": type(task.readout).__name__,
        }

    @contextmanager
    def reader(self, folder: Path) -> Iterator[Run]:
        """The file, read as a configuration would, between the task's encoder and readout."""
        network = FromNIR(str(folder / f"{self.name}.nir")).eval()
        task = copy.deepcopy(self.subject.task)
        task.network = network
        names = [network.layer_names[name] for name in self.lowered.neurons]

        @torch.no_grad()
        def run(x: Tensor) -> Answer:
            found: dict[str, Tensor] = {}

            def note(call: LayerCall) -> None:
                found[call.name] = call.output

            with watched(network, note):
                values, outputs, _ = task.respond(x)
            return Answer(task.in_unit(values), outputs, [found[name] for name in names])

        yield run

    def facts(self, folder: Path) -> dict[str, Any]:
        """The dialect, the step, and what was written otherwise than it is."""
        kinds = [node.kind for node in self.lowered.nodes.values()]
        facts: dict[str, Any] = {
            "dialect": self.target.dialect or "NIR's own equations",
            "seconds of a step": self.target.dt,
            "discretisation": {"euler": "forward Euler", "exact": "exact for an input constant in a step"}[
                self.target.integration
            ],
            "nodes": ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) + ", 1 Output",
        }
        if self.notes.made:
            facts["approximated"] = "; ".join(self.notes.made)
        return facts


def _target(dialect: str | None, dt: float | None, discretisation: str | None) -> Target:
    if dialect is not None and dialect not in DIALECTS:
        raise SettingError("export: dialect", dialect, f"is none of {', '.join(DIALECTS)}")
    if discretisation is not None and discretisation not in get_args(Integration):
        raise SettingError("export: discretisation", discretisation, f"is none of {', '.join(get_args(Integration))}")
    if dt is not None:
        number("export: dt", dt, "(0, inf)")
    if dialect is None:
        return Target(None, _STEP if dt is None else dt, discretisation or "euler")  # type: ignore[arg-type]
    known: Any = dialect
    reader = READERS[known]
    if discretisation not in (None, reader.integration):
        raise SettingError("export: discretisation", discretisation, f"is not that of {dialect}: {reader.integration}")
    assert reader.dt is not None
    if dt is not None and dialect not in _OPEN and dt != reader.dt:
        raise SettingError("export: dt", dt, f"is not that of {dialect}, which has {reader.dt:g}")
    return Target(known, reader.dt if dt is None else dt, reader.integration)


def _node(node: Node) -> Any:
    if node.inside is not None:
        nodes = {name: _node(one) for name, one in node.inside}
        edges = [(source, name) for name, one in node.inside for source in one.inputs]
        return nir.NIRGraph(nodes, edges, type_check=False)
    fields = dict(node.fields)
    if node.kind == "Input":
        return nir.Input(input_type={"input": fields["shape"]})
    if node.kind == "Output":
        return nir.Output(output_type={"output": fields["shape"]})
    if node.kind == "Flatten":
        fields["input_type"] = {"input": fields["input_type"]}
    return getattr(nir, node.kind)(**fields)


def _sizes(shape: torch.Size) -> Any:
    return torch.tensor(shape).numpy()

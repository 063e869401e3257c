"""Export to ONNX, through torch's exporter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxscript  # noqa: F401  # torch's exporter needs it
import torch
from torch import Tensor
from torch.export import ExportedProgram

from litspike.export.artefact import Answer, Artefact, Refused, Run, Subject
from litspike.export.graphs.layers import power_by_pow
from litspike.export.graphs.programs import Programs, first_line, quiet
from litspike.export.graphs.proof import milliseconds, step_by_step


class OnnxGraph(Artefact):
    """``NAME.onnx``, a whole sample; ``NAME_step.onnx``, one step; ``NAME_rest.npz``, the states before the first step.

    Args:
        subject: what is exported.
        name: of the files.

    Raises:
        Refused: for what ONNX can't say.
    """

    format = "onnx"

    def __init__(self, subject: Subject, name: str) -> None:
        super().__init__(subject, name)
        self.programs = Programs(self.format, subject, power_by_pow)
        states = list(self.programs.states())
        after = [f"{state}_after" for state in states]
        self.whole = _model(self.programs.whole(), ["sample"], ["values", "outputs"])
        self.step = _model(self.programs.step(), ["input", *states], ["output", *after])

    def write(self, folder: Path) -> None:
        """Write the files."""
        for kind, model in (("", self.whole), ("_step", self.step)):
            model.save(folder / f"{self.name}{kind}.onnx")
        states = {name: value.numpy() for name, value in self.programs.states().items()}
        np.savez(folder / f"{self.name}_rest.npz", **states)  # type: ignore[arg-type]  # names to arrays

    @contextmanager
    def reader(self, folder: Path) -> Iterator[Run]:
        """The graph, run by ONNX Runtime, which is asked for what the layers of neurons put out as well."""
        model = onnx.load(folder / f"{self.name}.onnx")
        names = _watched(model, len(self.subject.labels))
        session = _session(model.SerializeToString())

        def run(x: Tensor) -> Answer:
            values, outputs, *layers = session.run(["values", "outputs", *names], {"sample": x.numpy()})
            return Answer(torch.as_tensor(values), torch.as_tensor(outputs), [torch.as_tensor(one) for one in layers])

        yield run

    def facts(self, folder: Path) -> dict[str, Any]:
        """Opset, shapes, the graph of one step beside that of all, and latency."""
        whole, step = (_session((folder / f"{self.name}{kind}.onnx").read_bytes()) for kind in ("", "_step"))
        names = [one.name for one in step.get_inputs()]
        sample = {"sample": self.subject.samples.numpy()}

        def once(*given: Any) -> Any:
            return step.run(None, {name: np.asarray(one) for name, one in zip(names, given, strict=True)})

        outputs = torch.as_tensor(whole.run(["outputs"], sample)[0])
        opset = onnx.load(folder / f"{self.name}.onnx", load_external_data=False).opset_import
        return {
            "opset": ", ".join(f"{one.domain or 'ai.onnx'} {one.version}" for one in opset),
            **self.programs.about(),
            "largest difference step by step": step_by_step(self.programs, outputs, once),
            "milliseconds a sample": milliseconds(lambda: whole.run(["values"], sample)),
        }


def _model(program: ExportedProgram, inputs: list[str], outputs: list[str]) -> Any:
    try:
        with quiet():
            return torch.onnx.export(
                program, input_names=inputs, output_names=outputs, dynamo=True, verbose=False, external_data=False
            )
    except Exception as problem:  # torch raises whatever it doesn't know
        raise Refused("onnx", "model", f"torch.onnx can't make a graph of it: {first_line(problem)}") from problem


def _watched(model: Any, layers: int) -> list[str]:
    """Let a graph give what its first loops put out, those of the layers of neurons; their names."""
    loops = [node for node in model.graph.node if node.op_type == "Scan"][:layers]
    names = []
    for node in loops:
        (moving,) = (attribute.i for attribute in node.attribute if attribute.name == "num_scan_inputs")
        names.append(node.output[len(node.input) - moving])
    known = {one.name for one in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    return names


def _session(content: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = max(torch.get_num_threads(), 1)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

"""Export as programs of torch.export, which need torch alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from litspike.export.artefact import Answer, Artefact, Run, Subject
from litspike.export.graphs.layers import power_by_bits
from litspike.export.graphs.programs import Programs, quiet
from litspike.export.graphs.proof import milliseconds, step_by_step


class TorchProgram(Artefact):
    """``NAME.pt2``, a whole sample; ``NAME_step.pt2``, one step; ``NAME_rest.npz``, the states before the first step.

    Args:
        subject: what is exported.
        name: of the files.

    Raises:
        Refused: for what torch.export can't say.
    """

    format = "torch"

    def __init__(self, subject: Subject, name: str) -> None:
        super().__init__(subject, name)
        self.programs = Programs(self.format, subject, power_by_bits)
        self.whole, self.step = self.programs.whole(), self.programs.step()

    def write(self, folder: Path) -> None:
        """Write the files."""
        with quiet():
            torch.export.save(self.whole, folder / f"{self.name}.pt2")
            torch.export.save(self.step, folder / f"{self.name}_step.pt2")
        states = {name: value.numpy() for name, value in self.programs.states().items()}
        np.savez(folder / f"{self.name}_rest.npz", **states)  # type: ignore[arg-type]  # names to arrays

    @contextmanager
    def reader(self, folder: Path) -> Iterator[Run]:
        """The program, read back by torch."""
        with quiet():
            watching = _Watching(torch.export.load(folder / f"{self.name}.pt2").module(), len(self.subject.labels))

        @torch.no_grad()
        def run(x: Tensor) -> Answer:
            values, outputs = watching.run(x)
            return Answer(values, outputs, watching.layers)

        yield run

    def facts(self, folder: Path) -> dict[str, Any]:
        """Shapes, the programs of one step beside that of all, and latency."""
        with quiet():
            whole, step = (torch.export.load(folder / f"{self.name}{kind}.pt2").module() for kind in ("", "_step"))
        with torch.no_grad():
            return {
                **self.programs.about(),
                "largest difference step by step": step_by_step(
                    self.programs, whole(self.subject.samples)[1], lambda *given: step(*given)
                ),
                "milliseconds a sample": milliseconds(lambda: whole(self.subject.samples)),
            }


class _Watching(fx.Interpreter):
    """Runs a program and keeps what its first loops put out: they are those of the layers of neurons."""

    def __init__(self, module: Any, layers: int) -> None:
        super().__init__(module)
        self.layers: list[Tensor] = []
        loops = [node for node in module.graph.nodes if node.target is torch.ops.higher_order.scan][:layers]
        self._loops = {node: len(node.args[1]) for node in loops}

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program."""
        self.layers = []
        return super().run(*args, **kwargs)

    def run_node(self, n: fx.Node) -> Any:
        """Run one node."""
        result = super().run_node(n)
        if n in self._loops:
            self.layers.append(result[self._loops[n]])
        return result

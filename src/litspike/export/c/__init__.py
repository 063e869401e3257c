"""Export to C: one file in C99 without dependencies or allocation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from litspike.export.artefact import Answer, Artefact, Refused, Run, Subject
from litspike.export.c.coding import encoder_of, readout_of
from litspike.export.c.compile import Process, Toolchain, compiler
from litspike.export.c.lower import FORMAT, operations_of
from litspike.export.c.operations import watched_neurons
from litspike.export.c.text import FLAGS, Network, Source, makefile
from litspike.export.c.twin import Twin
from litspike.export.graph import graph_of

_KEYWORDS = frozenset(
    {"auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern", "float"}
    | {"for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed", "sizeof"}
    | {"static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "main"}
)
_SHORTEST = 0.2
"""Seconds of processor time that a latency is measured over."""


class CFile(Artefact):
    """``NAME.c``, ``NAME.h`` and a ``Makefile``: init, reset, step and run, in float32.

    Args:
        subject: what is exported.
        name: of the struct, the files and the functions.

    Raises:
        Refused: for what has no C.
    """

    format = FORMAT
    types: tuple[str, str] = ("float", "float")
    """Of the numbers of a step, and of those of an answer."""

    def __init__(self, subject: Subject, name: str) -> None:
        super().__init__(subject, name)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in _KEYWORDS:
            raise Refused(FORMAT, f"name: {name!r}", "is no name in C: letters, digits and underscores")
        compiler()
        self.encoder, self.readout = encoder_of(subject), readout_of(subject)
        graph = graph_of(FORMAT, subject.task.network, subject.first_steps())
        self.operations, self.output = operations_of(graph, subject)
        self.watched = watched_neurons(self.operations)
        self.source: Source | None = None

    def _printed(self) -> Source:
        if self.source is None:
            network = Network(self.operations, self.output, self.encoder, self.readout)
            self.source = Source(network, self.name, self._head())
        return self.source

    def _head(self) -> list[str]:
        labels = ", ".join(self.subject.labels) or "no neurons"
        checks = {"latency": "Numbers of a sample must lie where the encoder takes them; nothing is checked here."}
        return [
            f"{self.name}: a spiking network trained with litspike: {labels}.",
            "",
            *self._about(),
            *([checks[self.encoder.kind]] if self.encoder.kind in checks else []),
        ]

    def _about(self) -> list[str]:
        return [
            f"C99, float32. Compile with {FLAGS}",
            "(or another level of optimisation): its results are then the same bits on every machine.",
        ]

    def write(self, folder: Path) -> None:
        """Write the files."""
        source = self._printed()
        (folder / f"{self.name}.h").write_text(source.header(), encoding="utf-8")
        (folder / f"{self.name}.c").write_text(source.source(), encoding="utf-8")
        (folder / "Makefile").write_text(self._makefile(), encoding="utf-8")

    def _makefile(self) -> str:
        return makefile(self.name)

    def process(self, folder: Path, flags: tuple[str, ...] = (), tools: Toolchain | None = None) -> Process:
        """The compiled file in a process of its own."""
        sizes = [layer.size for layer in self.watched]
        return Process(folder, self.name, sizes, self.encoder, self.readout, self.types, flags, tools)

    def steps_of(self, x: Tensor) -> int:
        """T of samples [B, *]."""
        return x.shape[1] if self.encoder.steps is None else self.encoder.steps

    @contextmanager
    def reader(self, folder: Path) -> Iterator[Run]:
        """The file, compiled."""
        process = self.process(folder)
        try:
            yield lambda x: self.meaning(process(self.given(x), self.steps_of(x)), self.steps_of(x))
        finally:
            process.close()

    def given(self, x: Tensor) -> Tensor:
        """Samples as the file takes them."""
        return x

    def meaning(self, answer: Answer, steps: int) -> Answer:
        """What the file gives, as the task gives it."""
        return answer

    def facts(self, folder: Path) -> dict[str, Any]:
        """Bytes of constants and of the struct, and microseconds a step on this machine."""
        process, sample = self.process(folder), self.given(self.subject.samples)[0]
        steps = self.steps_of(self.subject.samples)
        try:
            repeats = 1
            while (seconds := process.seconds(sample, steps, repeats)) < _SHORTEST:
                repeats *= 2
        finally:
            process.close()
        return {
            "bytes of constants": self._printed().tables.bytes,
            "bytes of the struct": process.memory,
            "microseconds a step": seconds / repeats / steps * 1e6,
            "compiler": " ".join([*compiler(), FLAGS]),
        }

    def exact(self) -> tuple[str, Run]:
        """The reference engine, with the engine's product on events in place of dense ones."""
        twin = Twin(self.operations, self.output, self.encoder, self.readout, self.subject.task.in_unit)
        return "the reference engine with products of events in the order of their index", twin

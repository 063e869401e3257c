"""Export to C in integers: weights in few bits, states in fixed point."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from litspike.export.artefact import Answer, Run, Subject
from litspike.export.c import CFile
from litspike.export.c.compile import compiler
from litspike.export.c.text import Source, makefile
from litspike.export.c.twin import Twin
from litspike.export.integer.fixed import Settings
from litspike.export.integer.measure import measured
from litspike.export.integer.plan import plan_of
from litspike.export.integer.precision import findings
from litspike.export.integer.source import IntegerSource
from litspike.export.integer.twin import IntegerTwin

FLAGS = "-std=c99 -Os"


class IntegerFile(CFile):
    r"""``NAME.c``, ``NAME.h`` and a ``Makefile`` without a floating-point number.

    Args:
        subject: what is exported.
        name: of the struct, the files and the functions.
        settings: how many bits.
        samples: some of its samples, [B, \*]: from what they make of every number follows where its binary point is.

    Raises:
        Refused: for what has no C, or no place in fixed point.
    """

    def __init__(self, subject: Subject, name: str, settings: Settings, samples: Tensor) -> None:
        super().__init__(subject, name)
        self.format = f"c-int{settings.bits}"
        self.samples = samples
        self.twin = Twin(self.operations, self.output, self.encoder, self.readout, subject.task.in_unit)
        coding = self.encoder, self.readout
        self.plan = plan_of(self.format, settings, self.operations, self.output, coding, measured(self.twin, samples))
        self.integers = IntegerTwin(self.plan, subject.task.in_unit)
        self.types = f"int{settings.states}_t", "int32_t"

    def _printed(self) -> Source:
        if self.source is None:
            self.source = IntegerSource(self.plan, self.name, self._head())
        return self.source

    def _about(self) -> list[str]:
        bits, scale, states = self.plan.settings
        scales = {"free": "a scale of any size", "power_of_two": "a power of two as its scale"}
        return [
            f"C99 in integers. Weights have {bits} bits and, for each output channel, {scales[scale]};",
            f"states, currents and constants have {states} bits in fixed point. A sum of weights is exact in 32 bits.",
            "Rounding is to the nearest, halves towards +infinity; of a quotient towards zero. A number outside its",
            "bounds is limited to them. Nothing overflows, and the results are the same bits on every machine.",
        ]

    def _makefile(self) -> str:
        return makefile(self.name, FLAGS, "Any flags will do: there are integers alone.")

    def given(self, x: Tensor) -> Tensor:
        return self.plan.sample.of(x)

    def meaning(self, answer: Answer, steps: int) -> Answer:
        return self.plan.meaning(answer, steps, self.subject.task.in_unit)

    def exact(self) -> tuple[str, Run]:
        """The network in integers, run in torch."""
        return "the network in integers, run in torch", self.integers

    def facts(self, folder: Path) -> dict[str, Any]:
        """Sizes in kB, microseconds a step on this machine, and the layers whose states have too few bits."""
        found = super().facts(folder)
        constants, memory = found.pop("bytes of constants"), found.pop("bytes of the struct")
        bits, scale, states = self.plan.settings
        sizes = {"kB of constants": constants / 1000, "kB of RAM": memory / 1000}
        for words, flags in (("here", compiler()), ("on a Cortex-M4", _ARM)):
            text = self._text_size(folder, flags)
            if text is not None:
                sizes[f"kB of flash {words}, code and constants"] = text / 1000
        warnings: dict[str, str] = {}
        for layer, problem in findings(self.plan, self.twin, self.integers, self.samples):
            name = f"warning: {layer}"
            warnings[name] = f"{warnings[name]}; {problem}" if name in warnings else problem
        return {"weights": f"{bits} bits, scale {scale}", "states": f"{states} bits", **sizes, **found, **warnings}

    def _text_size(self, folder: Path, command: Sequence[str]) -> int | None:
        """Bytes of code and constants that a compiler makes of the file; None where it, or ``size``, is missing."""
        size = command[0].removesuffix("gcc") + "size" if command is _ARM else "size"
        if shutil.which(command[0]) is None or shutil.which(size) is None:
            return None
        with tempfile.TemporaryDirectory(prefix="litspike-c-") as place:
            made = f"{place}/{self.name}.o"
            source = [*FLAGS.split(), "-c", str(folder / f"{self.name}.c"), "-o", made]
            if subprocess.run([*command, *source], capture_output=True).returncode:
                return None
            lines = subprocess.run([size, made], capture_output=True, text=True).stdout.splitlines()
        return int(lines[1].split()[0]) if len(lines) > 1 else None


_ARM = ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb")

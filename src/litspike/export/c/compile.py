"""Compiles an exported C file with the C compiler that is there, and runs it in a process of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from torch import Tensor

from litspike.export.artefact import Answer, Refused
from litspike.export.c.coding import Encoder, Readout
from litspike.export.c.text import FLAGS, WARNINGS

_DRIVER = """\
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int watching = 1;

static void watch(int layer, const {number} *numbers, size_t count)
{
    (void)layer;
    if (watching && fwrite(numbers, sizeof *numbers, count, stdout) != count) {
        exit(2);
    }
}

#define {upper}_WATCH(layer, numbers, count) watch(layer, numbers, count)
#include "{name}.c"

static {name} network_of_the_run;

int main(void)
{
    unsigned steps, repeats, i;
    const double size = (double)sizeof({name});
    fwrite(&size, sizeof size, 1, stdout);
    fflush(stdout);
    {name}_init(&network_of_the_run);
    while (fread(&steps, sizeof steps, 1, stdin) == 1 && fread(&repeats, sizeof repeats, 1, stdin) == 1) {
        const size_t wanted = {sample}, answers = {values};
        {number} *sample = malloc((wanted + 1) * sizeof *sample);
        {value} *values = malloc((answers + 1) * sizeof *values);
        clock_t began;
        if (!sample || !values || fread(sample, sizeof *sample, wanted, stdin) != wanted) {
            return 2;
        }
        watching = repeats == 0;
        began = clock();
        for (i = 0; i < (repeats ? repeats : 1); i++) {
            {name}_run(&network_of_the_run, sample, {steps}values);
        }
        if (repeats) {
            const double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
            fwrite(&seconds, sizeof seconds, 1, stdout);
        }
        fwrite(values, sizeof *values, answers, stdout);
        fflush(stdout);
        free(sample);
        free(values);
    }
    return 0;
}
"""


_TYPES = {"float": np.float32, "int16_t": np.int16, "int32_t": np.int32}


def compiler() -> list[str]:
    """The C compiler: what the variable CC names, or the first of cc, gcc and clang; raises :class:`Refused`."""
    named = shlex.split(os.environ.get("CC", ""))
    for command in ([named] if named else []) + [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    raise Refused("c", "no C compiler", "none of cc, gcc and clang is here to prove what is written: install one")


class Toolchain(NamedTuple):
    """A compiler, and what runs a program that it made for another processor."""

    compiler: Sequence[str]
    runner: Sequence[str] = ()


class Process:
    """A compiled network that samples are sent to.

    Args:
        folder: where the C file lies.
        name: of the network.
        layers: numbers that each layer of neurons puts out at one step.
        encoder: of the samples.
        readout: of the answers.
        types: of the numbers of a sample, a layer and an output, and of those of an answer, in C.
        flags: of the compiler.
        command: the compiler, and what runs a program that it made.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        layers: Sequence[int],
        encoder: Encoder,
        readout: Readout,
        types: tuple[str, str] = ("float", "float"),
        flags: Sequence[str] = (),
        command: Toolchain | None = None,
    ) -> None:
        self.types, self.values, self.every = types, readout.size, readout.kind == "every"
        self.sizes, moving = [*layers, readout.size], encoder.steps is None
        self._folder = tempfile.TemporaryDirectory(prefix="litspike-c-")
        each = {
            "name": name,
            "upper": name.upper(),
            "sample": f"(size_t){encoder.sample}" + (" * steps" if moving else ""),
            "values": f"(size_t){readout.size}" + (" * steps" if self.every else ""),
            "steps": "steps, " if moving else "",
            "number": types[0],
            "value": types[1],
        }
        driver, program = Path(self._folder.name, "driver.c"), Path(self._folder.name, "driver")
        text = _DRIVER
        for key, value in each.items():
            text = text.replace(f"{{{key}}}", value)
        driver.write_text(text, encoding="utf-8")
        chosen = [*FLAGS.split(), *WARNINGS.split(), "-Werror", *flags]
        tools = command or Toolchain(compiler())
        made = subprocess.run(
            [*tools.compiler, *chosen, f"-I{folder}", str(driver), "-o", str(program)],
            capture_output=True,
            text=True,
            errors="replace",
        )
        if made.returncode:
            self.close()
            reason = next((line for line in made.stderr.splitlines() if "error" in line), made.stderr[:200])
            raise Refused("c", "the C file doesn't compile here", f"{tools.compiler[0]} says {reason.strip()}")
        self._process = subprocess.Popen([*tools.runner, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.memory = int(struct.unpack("d", self._exactly(8))[0])
        """Bytes of the network's struct."""

    def close(self) -> None:
        """End the process, and remove what was compiled."""
        process = getattr(self, "_process", None)
        if process is not None:
            process.kill()
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):  # what it was still to be sent
                    stream.close()
            process.wait()
        self._folder.cleanup()

    def __call__(self, x: Tensor, steps: int) -> Answer:
        """Samples [B, *], run for T steps each. Layers and outputs are flat, [T, B, N]."""
        frames, values = [], []
        frame = sum(self.sizes)
        for sample in x:
            self._send(sample, steps, 0)
            frames.append(self._receive(steps * frame, self.types[0]).view(steps, frame))
            answer = self._receive(self.values * (steps if self.every else 1), self.types[1])
            values.append(answer.view(steps, self.values) if self.every else answer)
        *layers, outputs = torch.split(torch.stack(frames, 1), list(self.sizes), 2)
        return Answer(torch.stack(values), outputs, layers)

    def seconds(self, sample: Tensor, steps: int, repeats: int) -> float:
        """Processor time of running a sample so many times."""
        self._send(sample, steps, repeats)
        found: float = struct.unpack("d", self._exactly(8))[0]
        self._receive(self.values * (steps if self.every else 1), self.types[1])
        return found

    def _send(self, sample: Tensor, steps: int, repeats: int) -> None:
        stream: Any = self._process.stdin
        try:
            stream.write(struct.pack("II", steps, repeats))
            stream.write(np.ascontiguousarray(sample.numpy(), dtype=_TYPES[self.types[0]]).tobytes())
            stream.flush()
        except BrokenPipeError:
            self._broken()

    def _receive(self, count: int, kind: str) -> Tensor:
        dtype = np.dtype(_TYPES[kind])
        return torch.from_numpy(np.frombuffer(self._exactly(dtype.itemsize * count), dtype=dtype).copy())

    def _exactly(self, count: int) -> bytes:
        stream: Any = self._process.stdout
        found: bytes = stream.read(count)
        if len(found) < count:
            self._broken()
        return found

    def _broken(self) -> NoReturn:
        status = self._process.wait()
        raise Refused("c", "the compiled network", f"ended with status {status} instead of an answer")

"""A whole sample in C: its encoder, the steps, and the readout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch

from litspike.export.c.coding import Encoder, Readout
from litspike.export.c.printing import Tables, element, function, loop, number, statements
from litspike.export.c.step import StepWriter, states_of


class SampleWriter:
    """Writes the function that runs a sample.

    Args:
        step: what writes the network's step.
        encoder: of the samples.
        readout: of the network's outputs.
        tables: where constants go.
    """

    value: ClassVar[str] = "float"
    """Type of the numbers of an answer."""
    zero: ClassVar[str] = "0.0f"
    one: ClassVar[str] = "1.0f"

    def __init__(self, step: StepWriter, encoder: Encoder, readout: Readout, tables: Tables) -> None:
        self.step, self.encoder, self.readout, self.tables = step, encoder, readout, tables
        self.name, self.outputs = step.name, readout.size

    @property
    def moving(self) -> bool:
        """Whether a sample is a sequence, which says itself for how many steps it is run."""
        return self.encoder.steps is None

    @property
    def arguments(self) -> str:
        """The function's arguments."""
        steps = ", size_t steps" if self.moving else ""
        return f"{self.name} *n, const {self.step.number} *sample{steps}, {self.value} *values"

    @property
    def about(self) -> str:
        """What the function does, in words."""
        steps = "its steps one after another, 1 at least" if self.moving else f"for {self.encoder.steps} steps"
        return f"A whole sample from rest, {steps}, from its encoder to the readout's values."

    def members(self) -> Iterator[tuple[str, int]]:
        """Name and size of each array of the struct."""
        encoder, readout = self.encoder, self.readout
        if readout.neurons is not None:
            yield from ((f"readout_{state}", readout.size) for state in states_of(readout.neurons))
        if readout.kind == "first":
            yield "alive", readout.size
        if encoder.kind in ("latency", "delta") or encoder.fields is not None:
            yield "input", encoder.size
        if encoder.kind in ("latency", "delta") and encoder.fields is not None:
            yield "coded", encoder.coded
        if encoder.kind == "delta":
            yield "before", encoder.coded
        yield "output", self.outputs

    def reset(self) -> list[str]:
        """Lines that put the readout to rest."""
        lines = [] if self.readout.neurons is None else self.step.at_rest("readout", self.readout.neurons)
        return lines + (loop(self.outputs, [f"n->alive[i] = {self.one};"]) if self.readout.kind == "first" else [])

    def function(self) -> str:
        """The function."""
        encoder, readout, steps = self.encoder, self.readout, f"{self.name.upper()}_STEPS"
        once, each, given = self._encode()
        steps = "steps" if self.moving else steps
        still = encoder.kind == "constant"
        take = [f"take_in(n, {given});"] if self.step.has_head else []
        inside = [*each, *([] if still else take), f"advance(n, {given}, n->output);", *self._read()]
        start = loop(self.outputs, [f"values[i] = {self.zero};"]) if readout.kind in ("mean", "first") else []
        lines = [
            f"{self.name}_reset(n);", *start, *once, *(take if still else []),
            f"for (t = 0; t < {steps}; t++) {{", *(f"    {line}" for line in inside), "}",
            *self._finish(steps),
        ]  # fmt: skip
        text = "\n".join(lines)
        names = ", ".join(["t", *(["i"] if "(i = 0;" in text else []), *(["j"] if "(j = 0;" in text else [])])
        return function(f"void {self.name}_run({self.arguments})", [f"size_t {names};", *lines])

    def _encode(self) -> tuple[list[str], list[str], str]:
        """What is done once, what at each step, and what the network then gets."""
        encoder = self.encoder
        kind, sample = encoder.kind, encoder.sample
        now = f"sample + t * {sample}" if self.moving else "sample"
        coded = now
        code: list[str] = []
        if encoder.fields is not None:
            count = len(encoder.fields.centres)
            coded = "n->coded" if kind in ("latency", "delta") else "n->input"
            lines = self._fields(now, coded, count)
            inner = [f"for (j = 0; j < {count}; j++) {{", *(f"    {line}" for line in lines), "}"]
            code = loop(sample, inner)
        if kind in ("constant", "sequence"):
            return (code, [], coded) if kind == "constant" else ([], code, coded)
        if kind == "latency":
            return code, loop(encoder.coded, self._latency(coded)), "n->input"
        return [], [*code, *loop(encoder.coded, self._delta(coded))], "n->input"

    def _fields(self, now: str, coded: str, count: int) -> list[str]:
        assert self.encoder.fields is not None
        centres = self.tables.add("encoder_centres", self.encoder.fields.centres)
        target = f"{coded}[i * {count} + j]"
        return statements(self.encoder.fields.program, [element(now), f"{centres}[j]"], [target])

    def _latency(self, coded: str) -> list[str]:
        least = self.tables.add("encoder_least", self.encoder.least())
        bound = f"(t == 0 || x < {least}[t - 1])"
        return [
            f"const float x = {element(coded)};",
            f"n->input[i] = x >= {least}[t] && {bound} ? 1.0f : 0.0f;",
        ]

    def _delta(self, coded: str) -> list[str]:
        threshold = number(torch.tensor(self.encoder.threshold).item())
        return [
            f"const float change = t == 0 ? 0.0f : {element(coded)} - n->before[i];",
            f"n->input[i] = t > 0 && change > {threshold} ? 1.0f : 0.0f;",
            f"n->input[{self.encoder.coded} + i] = t > 0 && change < -{threshold} ? 1.0f : 0.0f;",
            f"n->before[i] = {element(coded)};",
        ]

    def _read(self) -> list[str]:
        """What is done with the network's output of a step."""
        readout, lines = self.readout, list[str]()
        if readout.neurons is not None:
            lines = self.step.step_lines(readout.neurons, "readout", "n->output[i]", "n->output[i]")
        return loop(self.outputs, [*lines, *self._taken()])

    def _taken(self) -> list[str]:
        """What becomes of output i."""
        match self.readout.kind:
            case "mean":
                return ["values[i] += n->output[i];"]
            case "max":
                return ["values[i] = t > 0 && !(n->output[i] > values[i] || n->output[i] != n->output[i]) "
                        "? values[i] : n->output[i];"]  # fmt: skip
            case "every":
                return [f"values[t * {self.outputs} + i] = n->output[i];"]
            case "first":
                return ["n->alive[i] *= 1.0f - n->output[i];", "values[i] += n->alive[i];"]
        return ["values[i] = n->output[i];"]

    def _finish(self, steps: str) -> list[str]:
        readout, lines = self.readout, []
        if readout.kind == "mean":
            lines.append(f"values[i] /= (float){steps};")
        if readout.kind == "first":
            lines.append(f"values[i] /= {number(torch.tensor(-readout.tau).item())};")
        if readout.scale is not None:
            mean, deviation = (
                self.tables.add(f"target_{name}", values, "double")
                for name, values in zip(("mean", "deviation"), readout.scale, strict=True)
            )
            where = f"i % {self.outputs}" if readout.kind == "every" else "i"
            lines.append(f"values[i] = (float)((double)values[i] * {deviation}[{where}] + {mean}[{where}]);")
        count = f"{self.outputs} * {steps}" if readout.kind == "every" else str(self.outputs)
        return loop(count, lines) if lines else []

"""The C file of a network: header, source and Makefile as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from litspike.engine.ir.program import Program
from litspike.export.c import helpers
from litspike.export.c.coding import Encoder, Readout
from litspike.export.c.operations import Convolution, Neurons, Operation, Pooling, Product
from litspike.export.c.printing import Tables, function, functions_of
from litspike.export.c.sample import SampleWriter
from litspike.export.c.step import StepWriter

FLAGS = "-std=c99 -O2 -ffp-contract=off"
WARNINGS = "-Wall -Wextra -Wpedantic"


class Network(NamedTuple):
    """What the file is printed from."""

    operations: list[Operation]
    output: int
    encoder: Encoder
    readout: Readout


class Source:
    """The text of a network in C.

    Args:
        network: what is printed.
        name: of the struct, the files and, with an underscore, the functions.
        head: lines of the comment at the head of each file.
    """

    def __init__(self, network: Network, name: str, head: Sequence[str]) -> None:
        self.operations, output, self.encoder, self.readout = network
        self.name, self.head, self.tables = name, head, Tables()
        self.step = StepWriter(name, self.operations, output, self.readout.size, self.tables)
        self.sample = SampleWriter(self.step, self.encoder, self.readout, self.tables)
        self.body = self._functions()

    def header(self) -> str:
        """``NAME.h``."""
        for_each = ", for each step" if self.readout.kind == "every" else ""
        a_sample = "one step of a sample" if self.sample.moving else "a sample"
        members = [*self.step.members(), *self.sample.members()]
        guard, name, upper = f"{self.name.upper()}_H", self.name, self.name.upper()
        sizes = {
            "INPUTS": (self.encoder.size, "numbers that the network gets at one step"),
            "OUTPUTS": (self.readout.size, "numbers that it gives at one step"),
            "SAMPLE": (self.encoder.sample, f"numbers in {a_sample}"),
            "VALUES": (self.readout.size, f"numbers in an answer{for_each}"),
        }
        if self.encoder.steps is not None:
            sizes["STEPS"] = (self.encoder.steps, "steps that a sample is run for")
        arrays = "\n".join(f"    float {member}[{count}];" for member, count in members)
        defines = "\n".join(f"#define {upper}_{key} {size} /* {about} */" for key, (size, about) in sizes.items())
        return f"""\
{self._comment()}
#ifndef {guard}
#define {guard}

#include <stddef.h>

{defines}

/* All that the network keeps. Nothing else is kept anywhere, and nothing is allocated. */
typedef struct {{
{arrays}
}} {name};

/* Make a struct ready; once, before anything else. */
void {name}_init({name} *n);

/* Go back to rest, before another sequence. */
void {name}_reset({name} *n);

/* One step: {self.encoder.size} numbers in, {self.readout.size} out. */
void {name}_step({name} *n, const float *input, float *output);

/* {self.sample.about} */
void {name}_run({self.sample.arguments});

#endif
"""

    def source(self) -> str:
        """``NAME.c``."""
        upper = self.name.upper()
        needs_math = re.search(r"\b(INFINITY|NAN)\b", "".join([*self.tables.texts, self.body, self._helpers()]))
        includes = ["<float.h>", *(["<math.h>"] if needs_math else []), "<stdint.h>"]
        lines = "\n".join(f"#include {include}" for include in includes)
        return f"""\
{self._comment()}
#include "{self.name}.h"

{lines}

#if FLT_EVAL_METHOD != 0 || defined(__FAST_MATH__)
#error "compile it so that each operation is rounded to float: no -ffast-math; on 32-bit x86 -msse2 -mfpmath=sse"
#endif
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

/* Define it to look on: it gets the number of a layer of neurons, or 0 for the output, and what this puts out. */
#ifndef {upper}_WATCH
#define {upper}_WATCH(layer, numbers, count) ((void)0)
#endif

{self._helpers()}
{"".join(f"{table}{chr(10)}" for table in self.tables.texts)}{self.body}"""

    def _comment(self) -> str:
        return "\n".join(["/*", *(f" * {line}".rstrip() for line in self.head), " */"])

    def _helpers(self) -> str:
        kinds = {type(operation) for operation in self.operations}
        neurons = [operation for operation in self.operations if isinstance(operation, Neurons)]
        texts = [functions_of(self._programs())]
        if Product in kinds or any(operation.recurrent for operation in neurons):
            texts.append(helpers.PRODUCT)
        if Convolution in kinds:
            texts.append(helpers.CONVOLUTION)
        pools = {operation.maximum for operation in self.operations if isinstance(operation, Pooling)}
        texts += [helpers.WINDOW] if pools else []
        texts += [helpers.MAXIMUM] if True in pools else []
        texts += [helpers.AVERAGE] if False in pools else []
        return "\n".join(text for text in texts if text)

    def _programs(self) -> list[Program]:
        programs = [operation.program for operation in self.operations if isinstance(operation, Neurons)]
        programs += [self.readout.neurons.program] if self.readout.neurons is not None else []
        return programs + ([self.encoder.fields.program] if self.encoder.fields is not None else [])

    def _functions(self) -> str:
        name = self.name
        reset = [*self.step.reset(), *self.sample.reset()]
        parts = [
            function(f"void {name}_init({name} *n)", [f"{name}_reset(n);"]),
            function(f"void {name}_reset({name} *n)", ["size_t i;", *reset] if reset else ["(void)n;"]),
            *self.step.functions(),
            self.sample.function(),
        ]
        return "\n".join(parts)


def makefile(name: str) -> str:
    """A Makefile that compiles the file; the flags are those that its results are promised for."""
    return f"""\
# -ffp-contract=off: no multiplication is joined with an addition, so that every result is rounded as in training.
CFLAGS = {FLAGS} {WARNINGS}

{name}.o: {name}.c {name}.h
\t$(CC) $(CFLAGS) -c {name}.c -o $@

clean:
\trm -f {name}.o
"""

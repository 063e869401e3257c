"""The C file of a network: header, source and Makefile as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from litspike.engine.ir.program import Program
from litspike.export.c import helpers
from litspike.export.c.coding import Encoder, Readout
from litspike.export.c.operations import Convolution, Neurons, Operation, Pooling, Product
from litspike.export.c.printing import Tables, function, functions_of
from litspike.export.c.sample import SampleWriter
from litspike.export.c.step import StepWriter

FLAGS = "-std=c99 -O2 -ffp-contract=off"
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion"


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

    number: ClassVar[str] = "float"
    """Type of what goes in and out of a step."""
    headers: ClassVar[Sequence[str]] = ("stddef.h",)
    """What ``NAME.h`` includes."""

    def __init__(self, network: Network, name: str, head: Sequence[str]) -> None:
        self.operations, self.output, self.encoder, self.readout = network
        self.name, self.head, self.tables = name, head, Tables()
        self.step = self._step_writer()
        self.sample = self._sample_writer()
        self.body = self._functions()

    def _step_writer(self) -> StepWriter:
        return StepWriter(self.name, self.operations, self.output, self.readout.size, self.tables)

    def _sample_writer(self) -> SampleWriter:
        return SampleWriter(self.step, self.encoder, self.readout, self.tables)

    def _definitions(self) -> Sequence[str]:
        """Further definitions of ``NAME.h``."""
        return ()

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
        arrays = "\n".join(f"    {self.step.type_of(member)} {member}[{count}];" for member, count in members)
        defines = [f"#define {upper}_{key} {size} /* {about} */" for key, (size, about) in sizes.items()]
        defined = "\n".join([*defines, *self._definitions()])
        includes = "\n".join(f"#include <{header}>" for header in self.headers)
        return f"""\
{self._comment()}
#ifndef {guard}
#define {guard}

{includes}

{defined}

/* All that the network keeps. Nothing else is kept anywhere, and nothing is allocated. */
typedef struct {{
{arrays}
}} {name};

/* Make a struct ready; once, before anything else. */
void {name}_init({name} *n);

/* Go back to rest, before another sequence. */
void {name}_reset({name} *n);

/* One step: {self.encoder.size} numbers in, {self.readout.size} out. */
void {name}_step({name} *n, const {self.number} *input, {self.number} *output);

/* {self.sample.about} */
void {name}_run({self.sample.arguments});

#endif
"""

    def source(self) -> str:
        """``NAME.c``."""
        upper = self.name.upper()
        return f"""\
{self._comment()}
#include "{self.name}.h"

{self._needs()}

/* Define it to look on: it gets the number of a layer of neurons, or 0 for the output, and what this puts out. */
#ifndef {upper}_WATCH
#define {upper}_WATCH(layer, numbers, count) ((void)0)
#endif

{self._helpers()}
{"".join(f"{table}{chr(10)}" for table in self.tables.texts)}{self.body}"""

    def _needs(self) -> str:
        """What the file includes, and what it needs of a compiler."""
        needs_math = re.search(r"\b(INFINITY|NAN)\b", "".join([*self.tables.texts, self.body, self._helpers()]))
        includes = ["<float.h>", *(["<math.h>"] if needs_math else []), "<stdint.h>"]
        lines = "\n".join(f"#include {include}" for include in includes)
        return f"""\
{lines}

#if FLT_EVAL_METHOD != 0 || defined(__FAST_MATH__)
#error "compile it so that each operation is rounded to float: no -ffast-math; on 32-bit x86 -msse2 -mfpmath=sse"
#endif
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif"""

    def _comment(self) -> str:
        return "\n".join(["/*", *(f" * {line}".rstrip() for line in self.head), " */"])

    def _helpers(self) -> str:
        product, convolution, maximum, average = self._functions_of_layers()
        kinds = {type(operation) for operation in self.operations}
        neurons = [operation for operation in self.operations if isinstance(operation, Neurons)]
        texts = [self._functions_of_steps()]
        if Product in kinds or any(operation.recurrent for operation in neurons):
            texts.append(product)
        if Convolution in kinds:
            texts.append(convolution)
        pools = {operation.maximum for operation in self.operations if isinstance(operation, Pooling)}
        texts += [helpers.WINDOW] if pools else []
        texts += [maximum] if True in pools else []
        texts += [average] if False in pools else []
        return "\n".join(text for text in texts if text)

    def _functions_of_layers(self) -> tuple[str, str, str, str]:
        """Product, convolution, maximum and average."""
        return helpers.PRODUCT, helpers.CONVOLUTION, helpers.MAXIMUM, helpers.AVERAGE

    def _functions_of_steps(self) -> str:
        """What the operations of a step need."""
        return functions_of(self._programs())

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


ROUNDED = (
    "-ffp-contract=off: no multiplication is joined with an addition, so that every result is rounded as in training."
)
"""What is to be known of FLAGS."""


def makefile(name: str, flags: str = FLAGS, about: str = ROUNDED) -> str:
    """A Makefile that compiles the file; the flags are those that its results are promised for."""
    return f"""\
# {about}
CFLAGS = {flags} {WARNINGS}

{name}.o: {name}.c {name}.h
\t$(CC) $(CFLAGS) -c {name}.c -o $@

clean:
\trm -f {name}.o
"""

"""The code generator on other processors than this one: older ones run here, others are compiled for."""

import platform
import subprocess
import sys

import pytest
import torch
from llvmlite import binding

from litspike.engine.cpu import codegen
from litspike.engine.cpu.jit import optimised
from litspike.engine.events.form import FIELDS, Form
from litspike.engine.events.kernels import writer_of
from litspike.engine.ir.cutoff import cutoff
from litspike.engine.ir.nest import Kind, Leaf
from litspike.engine.ir.recurrence import recurrent_backward_nest, recurrent_forward_nest
from litspike.engine.ir.schedule import backward_nest, forward_nest
from litspike.engine.ir.trace import trace
from litspike.surrogates import Rectangle

from .steps import SURROGATES, two_states

PROGRAM = """
import sys
from litspike.engine.cpu import jit
triple = jit.processor()[0]
jit.processor = lambda: (triple, sys.argv[1], "")
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""
TESTS = ["tests/engine/test_parity.py", "tests/engine/test_events.py", "tests/engine/test_recurrent.py"]
TESTS += ["tests/engine/test_convolution.py", "tests/networks/test_stream.py"]
SOME = "held or dense_matrices or single_precision or numpy or order or density"


@pytest.mark.thorough
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the older processors are x86")
@pytest.mark.parametrize("name", ["haswell", "nehalem"])  # AVX2 with FMA; SSE4 without
def test_kernels_for_older_processors_give_the_same(name):
    command = [sys.executable, "-c", PROGRAM, name, "-k", SOME, *TESTS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def texts(dtype):
    leaves = [Leaf(Kind(kind), wants) for kind, wants in zip("tllsnn", [True] * 4 + [False] * 2, strict=True)]
    program = trace(two_states(SURROGATES[0]), 2, leaves, dtype)
    nests = [nest(program, leaves) for nest in (forward_nest, backward_nest)]
    finite = trace(two_states(Rectangle()), 2, leaves, dtype)
    for nest in (recurrent_forward_nest, recurrent_backward_nest):
        nests += [nest(program, leaves), nest(finite, leaves, cutoff(finite))]
    programs = [program, program, program, finite, program, finite]
    yield from (codegen.module_text(nest, each, 512) for nest, each in zip(nests, programs, strict=True))
    for name in FIELDS:
        for valued in (False, True):
            yield writer_of(name, Form(dtype, valued=valued)).text(name)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_kernels_are_compiled_for_arm_with_its_vectors(dtype):
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    target = binding.Target.from_triple("aarch64-unknown-linux-gnu")
    machine = target.create_target_machine(cpu="cortex-a72", opt=3)
    code = ""
    for text in texts(dtype):
        code += machine.emit_assembly(optimised(text, machine))
    lanes = "4s" if dtype == torch.float32 else "2d"
    for operation in ("fmul", "fadd", "fmla", "fcmge"):
        assert any(f".{lanes}" in line for line in code.splitlines() if operation in line), operation

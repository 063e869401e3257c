"""The GPU's kernels: what they compute, what they are compiled to, and what happens where Triton is missing."""

import itertools
import logging
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch.overrides import TorchFunctionMode

from litspike.engine import call, operator, run
from litspike.engine.gpu import kernel as gpu
from litspike.engine.gpu.codegen import module_text
from litspike.engine.ir.nest import Kind, Leaf
from litspike.engine.ir.recurrence import recurrent_backward_nest, recurrent_forward_nest
from litspike.engine.ir.schedule import backward_nest, forward_nest
from litspike.engine.ir.trace import trace
from litspike.settings import UserError

from .steps import STEPS, SURROGATES, leaky

pytestmark = pytest.mark.integration

with_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")


@pytest.mark.slow
@with_triton
def test_the_kernels_compute_what_the_reference_does():
    environment = os.environ if torch.cuda.is_available() else os.environ | {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", str(Path(__file__).with_name("gpu_parity.py"))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr


def types(function, program, kinds):
    """What each argument is, in Triton's words, when none is missing."""
    real = "*fp32" if program.dtype == torch.float32 else "*fp64"
    found = {}
    for parameter in function.params:
        scalar = re.fullmatch(r"g(\d+)", parameter.name)
        if parameter.name == "BLOCK":
            found[parameter.name] = "constexpr"
        elif scalar and kinds[int(scalar[1])] == "s":
            found[parameter.name] = "*fp64"
        else:
            found[parameter.name] = parameter.annotation_type or real
    return found


@pytest.mark.slow
@with_triton
@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="Triton interprets here, and compiles nothing")
@pytest.mark.parametrize(
    ("case", "dtype"),
    list(itertools.product([*((name, False) for name in STEPS), ("two_states", True)], [torch.float32, torch.float64])),
)
def test_a_compiled_kernel_rounds_every_operation(case, dtype, tmp_path, monkeypatch):
    name, recurrent = case
    import triton
    from triton.backends.compiler import GPUTarget

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    make, states, constants = STEPS[name]
    kinds = "t" + "l" * states + "s" + "n" * (len(constants) - 1)
    letters = "T" + "L" * states + "S" + kinds[2 + states :]
    leaves = [Leaf(Kind(letter.lower()), letter.isupper()) for letter in letters]
    program = trace(make(SURROGATES[4]), states, leaves, dtype)
    segment = gpu.segment_of(program)
    if recurrent:
        nests = [nest(program, leaves, steps=segment) for nest in (recurrent_forward_nest, recurrent_backward_nest)]
    else:
        nests = [nest(program, leaves, segment) for nest in (forward_nest, backward_nest)]
    names = gpu.load(module_text(nests, program))
    block = 128 if recurrent else gpu.BLOCK
    for function in (names["forward"], names["backward"]):
        source = triton.compiler.ASTSource(function, types(function, program, kinds), {"BLOCK": block})
        options = {"num_warps": block // 32, "enable_fp_fusion": False}
        text = triton.compile(source, target=GPUTarget("cuda", 80, 32), options=options).asm["ptx"]
        arithmetic = set(re.findall(r"\b(?:add|sub|mul|div|sqrt|fma|mad|rcp|ex2)\.\S*f(?:32|64)\b", text))
        assert not recurrent or "bar.sync" in text
        assert "mul.rn.f32" in arithmetic or "mul.rn.f64" in arithmetic
        assert arithmetic <= {
            f"{name}.rn.f{bits}" for name in ("add", "sub", "mul", "div", "sqrt") for bits in (32, 64)
        }


@pytest.fixture
def missing(monkeypatch):
    """A GPU's tensors without Triton; the CPU's stand for them."""
    monkeypatch.setitem(operator.KERNELS, "cpu", gpu.GpuKernel)
    monkeypatch.setattr(call, "_kernels", {})
    monkeypatch.setitem(sys.modules, "triton", None)
    gpu.load.cache_clear()


@pytest.mark.usefixtures("missing")
def test_without_triton_fused_is_an_error_of_one_line():
    with pytest.raises(UserError) as problem:
        run(leaky(SURROGATES[0]), "leaky", torch.zeros(3, 1, 1), (0.0,), (0.9, 1.0), "fused", "LIF")
    assert str(problem.value).startswith("LIF: engine: 'fused' can't run without triton (")
    assert "\n" not in str(problem.value)


@pytest.mark.usefixtures("missing")
def test_without_triton_auto_runs_the_reference_and_says_so_once(caplog):
    x = torch.randn(3, 2, 2)
    with caplog.at_level(logging.WARNING, "litspike"):
        for _ in range(2):
            output, _ = run(leaky(SURROGATES[0]), "leaky", x, (0.0,), (0.9, 1.0), "auto", "LIF")
    assert torch.equal(output, run(leaky(SURROGATES[0]), "leaky", x, (0.0,), (0.9, 1.0), "reference")[0])
    assert len(caplog.records) == 1
    assert "without triton" in caplog.text


def test_the_reference_divides_by_a_number_as_by_a_tensor_elsewhere_than_on_the_cpu():
    """CUDA multiplies by the reciprocal of a number, which rounds twice; a device that only has shapes shows it."""
    seen = []

    class Divisors(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if getattr(function, "__name__", "") in ("div", "true_divide", "__truediv__", "div_"):
                seen.append(args[1])
            return function(*args, **kwargs or {})

    def step(x, u):
        u = torch.div(x / 3, 7.0) + torch.true_divide(u, 2) + u.clone().div_(5)
        return u, u

    with Divisors():
        run(step, "divides", torch.zeros(2, 1, 1, device="meta"), (0.0,), (), "reference")
    assert len(seen) == 8
    assert all(isinstance(divisor, torch.Tensor) and divisor.shape == () for divisor in seen)

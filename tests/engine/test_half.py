"""Kernels that read and write half precision: what single precision gives, rounded once."""

import pytest
import torch

from litspike.engine import autograd, run
from litspike.engine.cpu.half import readable

from .steps import STEPS, SURROGATES

HALF = [torch.bfloat16, torch.float16]
SIZES = [(1, 1, 1), (1, 1, 63), (17, 1, 65), (33, 2, 513), (5, 3, 2, 7)]


def both(name, surrogate, shape, dtype, held=False, engine="fused"):
    """Results and gradients in half precision, and those in single precision of the same numbers."""
    make, states, constants = STEPS[name]
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(shape[1:] if held else shape, generator=draw).to(dtype)
    starts = [torch.randn(shape[1:], generator=draw) * 0.2 for _ in range(states)]
    upstream = torch.randn(shape, generator=draw).to(dtype)
    further = [torch.randn(shape[1:], generator=draw) for _ in range(states)]
    found = []
    for current, given, how in ((x, upstream, engine), (x.float(), upstream.float(), "reference")):
        leaves = [tensor.clone().requires_grad_() for tensor in (*starts, *map(torch.tensor, constants))]
        current = current.clone().requires_grad_()
        many = shape[0] if held else None
        output, last = run(make(surrogate), (name, surrogate), current, leaves[:states], leaves[states:], how, "", many)
        gradients = torch.autograd.grad([output, *last], [current, *leaves], [given, *further])
        found.append(([output.detach(), *(state.detach() for state in last)], list(gradients)))
    return found


@pytest.fixture
def no_copies(monkeypatch):
    """Whoever launches a kernel on single precision fails."""
    real = autograd.Launch.of

    def of(current, *rest):
        assert current.dtype in HALF
        return real(current, *rest)

    monkeypatch.setattr(autograd.Launch, "of", of)


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("surrogate", [SURROGATES[0], SURROGATES[3]], ids=str)
def test_results_are_those_of_single_precision_rounded_once(name, surrogate, dtype, no_copies):
    assert readable(dtype)
    for shape in SIZES:
        (results, gradients), (expected, expected_gradients) = both(name, surrogate, shape, dtype)
        assert results[0].dtype is gradients[0].dtype is dtype
        assert torch.equal(results[0], expected[0].to(dtype))
        for a, b in zip(results[1:], expected[1:], strict=True):
            assert a.dtype is torch.float32
            assert torch.equal(a, b)
        assert torch.equal(gradients[0], expected_gradients[0].to(dtype))
        for a, b in zip(gradients[1:], expected_gradients[1:], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_an_input_that_is_the_same_at_every_step_gets_its_gradient_in_its_dtype(dtype, no_copies):
    (results, gradients), (expected, expected_gradients) = both("leaky", SURROGATES[0], (20, 3, 65), dtype, held=True)
    assert torch.equal(results[0], expected[0].to(dtype))
    assert gradients[0].dtype is dtype
    torch.testing.assert_close(gradients[0].float(), expected_gradients[0], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_every_number_of_half_precision_is_read_and_written_as_torch_does(dtype, no_copies):
    every = torch.arange(-(1 << 15), 1 << 15, dtype=torch.int32).to(torch.int16).view(dtype).view(1, 1, -1)
    output, _ = run(lambda x: (x * 1.0,), "every", every, (), (), "fused")
    finite = ~every.isnan()
    assert torch.equal(output[finite].view(torch.int16), every[finite].view(torch.int16))
    assert output[~finite].isnan().all()


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_numbers_between_two_of_half_precision_are_rounded_as_torch_rounds_them(dtype, no_copies):
    draw = torch.Generator().manual_seed(0)
    single = torch.randint(-(1 << 31), 1 << 31, (1, 1, 100_000), generator=draw, dtype=torch.int64).to(torch.int32)
    single = single.view(torch.float32).nan_to_num(0.0, 1e38, -1e38)
    halves = torch.tensor([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 65520.0, 1e-45, 3.4e38])
    numbers = torch.cat([single.flatten(), halves, -halves]).view(1, -1)
    zero = torch.zeros(1, *numbers.shape, dtype=dtype)
    output, _ = run(lambda x, u: (u + x, u), "rounded", zero, (numbers,), (), "fused")
    assert torch.equal(output[0], (numbers + 0.0).to(dtype))


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_a_step_that_no_kernel_can_run_gives_the_same(dtype):
    x = torch.randn(9, 2, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    output, (last,) = run(lambda x, u: ((x + u).sort().values * 0 + x, u + x), "sorted", x, (0.0,), (), "auto")
    assert output.dtype is dtype
    assert torch.equal(output, x)
    assert last.dtype is torch.float32


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("size", [-50.0, 50.0])
def test_no_spike_at_all_and_every_neuron_firing_are_those_of_single_precision(size, dtype, no_copies):
    for shape in SIZES:
        x = torch.full(shape, size).to(dtype)
        found = []
        for given, engine in ((x, "fused"), (x.float(), "reference")):
            given = given.clone().requires_grad_()
            output, (last,) = run(STEPS["leaky"][0](SURROGATES[0]), "extreme", given, (0.0,), (0.9, 1.0), engine)
            found.append([output.detach(), last.detach(), *torch.autograd.grad(output, given, torch.ones_like(output))])
        assert found[0][0].unique().tolist() == [float(size > 0)]
        for a, b in zip(*found, strict=True):
            assert torch.equal(a, b.to(a.dtype))

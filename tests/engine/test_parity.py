"""The fused engine against the reference engine, which is the definition."""

import numpy as np
import pytest
import torch

from litspike.engine import run
from tests.grids import grid

from .steps import STEPS, SURROGATES, leaky, outcome

SHAPES = [(1, 1, 1), (1, 3, 5), (16, 10, 10), (17, 2, 513), (33, 1, 1), (50, 4, 300), (15, 1, 512), (32, 2, 3, 4, 5)]


def inputs(name, shape, dtype, seed=0, per_neuron=False):
    make, states, constants = STEPS[name]
    draw = torch.Generator().manual_seed(seed)
    current = torch.randn(shape, generator=draw, dtype=torch.float64).to(dtype)
    starts = [torch.randn(shape[1:], generator=draw, dtype=torch.float64).to(dtype) / 2 for _ in range(states)]
    spread = torch.rand(shape[-1], generator=draw, dtype=torch.float64) / 10 if per_neuron else torch.zeros(())
    return make, current, starts, [(value + spread).to(dtype) for value in constants]


def compare(step, key, current, starts, constants):
    results, gradients = outcome("fused", step, key, current, starts, constants)
    expected, expected_gradients = outcome("reference", step, key, current, starts, constants)
    for found, wanted in zip(results, expected, strict=True):
        assert torch.equal(found, wanted)
    tolerance = {"rtol": 1e-10, "atol": 1e-10} if current.dtype == torch.float64 else {"rtol": 1e-3, "atol": 1e-3}
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        scale = wanted.abs().max().clamp(min=1) if wanted.numel() else 1
        torch.testing.assert_close(found / scale, wanted / scale, **tolerance)


@pytest.mark.integration
@pytest.mark.parametrize(("name", "surrogate", "dtype"), grid(list(STEPS), SURROGATES, [torch.float32, torch.float64]))
def test_spikes_states_and_gradients_are_those_of_the_reference(name, surrogate, dtype):
    for shape in SHAPES:
        make, *rest = inputs(name, shape, dtype)
        compare(make(surrogate), (name, surrogate), *rest)


@pytest.mark.parametrize("name", STEPS)
def test_a_constant_for_each_neuron_gets_its_gradient(name):
    for shape in [(1, 3, 5), (20, 4, 300)]:
        make, *rest = inputs(name, shape, torch.float64, per_neuron=True)
        compare(make(SURROGATES[0]), (name, SURROGATES[0]), *rest)


@pytest.mark.parametrize("size", [1e4, -1e4])
@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
def test_extreme_inputs_are_the_references(size, surrogate):
    make, current, *rest = inputs("two_states", (20, 2, 9), torch.float64)
    compare(make(surrogate), ("two_states", surrogate), current * size, *rest)


def strided(current):
    return current.transpose(0, 2).contiguous().transpose(0, 2)


@pytest.mark.parametrize(
    "view", [strided, lambda c: c[:1].expand(20, -1, -1), lambda c: strided(c)[:1].expand(20, -1, -1)]
)
def test_an_input_of_any_layout_is_read_and_gets_its_gradient(view):
    make, current, *rest = inputs("leaky", (20, 3, 7), torch.float64)
    compare(make(SURROGATES[0]), ("leaky", SURROGATES[0]), view(current), *rest)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", STEPS)
def test_a_current_held_for_all_steps_gives_what_its_copies_give(name, dtype):
    for shape in [(1, 1, 1), (16, 10, 10), (33, 2, 513)]:
        make, current, starts, constants = inputs(name, shape, dtype)
        held = current[0].requires_grad_()
        found = run(make(SURROGATES[0]), (name, 0), held, starts, constants, "fused", steps=shape[0])
        copies = held.expand(shape).clone()
        expected = run(make(SURROGATES[0]), (name, 0), copies, starts, constants, "reference")
        torch.testing.assert_close(found, (expected[0], [*expected[1]]), rtol=0, atol=0)
        (gradient,) = torch.autograd.grad(found[0].sum() + found[1][0].sum(), held)
        (wanted,) = torch.autograd.grad(expected[0].sum() + expected[1][0].sum(), held)
        scale = wanted.abs().max().clamp(min=1)
        torch.testing.assert_close(gradient / scale, wanted / scale, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("engine", ["fused", "reference"])
def test_spikes_are_those_of_a_loop_in_numpy(engine):
    draw = np.random.default_rng(0)
    current = draw.normal(0.2, 0.6, (40, 3, 50)).astype(np.float32)
    u, spikes = np.zeros((3, 50), np.float32), np.zeros_like(current)
    for t in range(40):
        u = u + current[t]
        spikes[t] = u >= np.float32(1.0)
        u = u * (np.float32(1) - spikes[t]) * np.float32(0.9)
    output, (last,) = run(leaky(SURROGATES[0]), "leaky", torch.from_numpy(current), (0.0,), (0.9, 1.0), engine)
    assert 0.05 < spikes.mean() < 0.5
    np.testing.assert_array_equal(output.numpy(), spikes)
    np.testing.assert_array_equal(last.numpy(), u)


@pytest.mark.parametrize("engine", ["fused", "reference"])
def test_a_neuron_exactly_at_its_threshold_fires(engine):
    output, (last,) = run(leaky(SURROGATES[0]), "leaky", torch.full((2, 1, 3), 1.0), (0.0,), (0.5, 1.0), engine)
    assert output.eq(1).all()
    assert last.eq(0).all()


@pytest.mark.parametrize("engine", ["fused", "reference"])
def test_gradients_are_those_worked_out_by_hand(engine):
    # u1 = x1, u2 = d·u1 + x2 and no spike below a threshold of 9: the last state is d·(d·x1 + x2).
    x = torch.tensor([[[2.0]], [[3.0]]], dtype=torch.float64, requires_grad=True)
    decay = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    _, (last,) = run(leaky(SURROGATES[2]), "zero", x, (0.0,), (decay, 9.0), engine)
    last.sum().backward()
    assert last.item() == 0.5 * (0.5 * 2 + 3)
    assert x.grad.flatten().tolist() == [0.25, 0.5]
    assert decay.grad.item() == 2 * 0.5 * 2 + 3


@pytest.mark.parametrize("cut", [1, 16, 19])
def test_pieces_with_the_state_carried_give_the_whole(cut):
    make, current, starts, constants = inputs("two_states", (40, 2, 300), torch.float32)
    step, key = make(SURROGATES[0]), "two_states"
    whole, last = run(step, key, current, starts, constants, "fused")
    head, state = run(step, key, current[:cut], starts, constants, "fused")
    tail, end = run(step, key, current[cut:], state, constants, "fused")
    assert torch.equal(torch.cat([head, tail]), whole)
    assert all(torch.equal(a, b) for a, b in zip(last, end, strict=True))


def test_gradients_flow_across_pieces():
    make, current, starts, constants = inputs("two_states", (40, 2, 30), torch.float64)
    step, key = make(SURROGATES[0]), "two_states"

    def gradient(cuts):
        x, state, total = current.clone().requires_grad_(), starts, 0
        for piece in x.split(cuts):
            output, state = run(step, key, piece, state, constants, "fused")
            total = total + (output * output).sum()
        return torch.autograd.grad(total + sum(s.sum() for s in state), x)[0]

    torch.testing.assert_close(gradient([40]), gradient([7, 33]))


def test_an_empty_batch_gives_empty_results():
    x = torch.zeros(3, 0, 4, requires_grad=True)
    output, (last,) = run(
        leaky(SURROGATES[0]), "leaky", x, (0.0,), (torch.tensor(0.9, requires_grad=True), 1.0), "fused"
    )
    assert output.shape == (3, 0, 4)
    assert last.shape == (0, 4)
    output.sum().backward()
    assert x.grad.shape == (3, 0, 4)

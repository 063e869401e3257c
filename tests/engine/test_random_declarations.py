"""The fused engine against the reference on random steps: whatever the known operations can be put together to."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from litspike.engine import exp, run, sigmoid, tanh
from litspike.settings import UserError
from litspike.surrogates import (
    ArcTan,
    FastSigmoid,
    Gaussian,
    Rectangle,
    Sigmoid,
    StraightThrough,
    Surrogate,
    Triangle,
    ZeroGradient,
    spike,
)

pytestmark = pytest.mark.integration

REAL: dict[str, Callable[..., Tensor]] = {  # of real values a and b, a truth value p, and a number n
    "add": lambda a, b, p, n: a + b,
    "add_number": lambda a, b, p, n: a + n,
    "sub": lambda a, b, p, n: a - b,
    "number_sub": lambda a, b, p, n: n - a,
    "mul": lambda a, b, p, n: a * b,
    "mul_number": lambda a, b, p, n: n * a,
    "div": lambda a, b, p, n: a / (1 + b.abs()),
    "div_number": lambda a, b, p, n: a / n,
    "number_div": lambda a, b, p, n: n / (2 - torch.relu(a).clamp(max=1)),
    "reciprocal": lambda a, b, p, n: torch.reciprocal(a.square() + 0.5),
    "neg": lambda a, b, p, n: -a,
    "abs": lambda a, b, p, n: a.abs(),
    "floor": lambda a, b, p, n: torch.floor(a),
    "square": lambda a, b, p, n: a**2,
    "cube": lambda a, b, p, n: a.clamp(-2, 2) ** 3,
    "relu": lambda a, b, p, n: torch.relu(a),
    "clamp": lambda a, b, p, n: a.clamp(min=-abs(n), max=1.5),
    "clamp_min": lambda a, b, p, n: a.clamp_min(n),
    "maximum": lambda a, b, p, n: torch.maximum(a, b),
    "minimum": lambda a, b, p, n: torch.minimum(a, b),
    "sign": lambda a, b, p, n: torch.sign(a) * b,
    "exp": lambda a, b, p, n: exp(a.clamp(-20, 3)),
    "sigmoid": lambda a, b, p, n: sigmoid(a),
    "tanh": lambda a, b, p, n: tanh(a),
    "where": lambda a, b, p, n: torch.where(p, a, b),
    "where_number": lambda a, b, p, n: torch.where(p, a, n),
    "masked_fill": lambda a, b, p, n: a.masked_fill(p, n),
    "float": lambda a, b, p, n: p.to(a.dtype) + a,
    "times_truth": lambda a, b, p, n: a * p,
    "detach": lambda a, b, p, n: a.detach() * b,
    "in_place": lambda a, b, p, n: (a * b).add_(n),
}
TRUTH: dict[str, Callable[..., Tensor]] = {  # of real values a and b, truth values p and q, and a number n
    "lt": lambda a, b, p, q, n: a < b,
    "le": lambda a, b, p, q, n: a <= n,
    "gt": lambda a, b, p, q, n: a > n,
    "ge": lambda a, b, p, q, n: a >= b,
    "eq": lambda a, b, p, q, n: torch.floor(a) == torch.floor(b),
    "ne": lambda a, b, p, q, n: torch.floor(a) != n,
    "and": lambda a, b, p, q, n: p & q,
    "or": lambda a, b, p, q, n: torch.logical_or(p, q),
    "not": lambda a, b, p, q, n: ~p,
}
IMPURE: dict[str, Callable[..., Tensor]] = {  # as REAL, but of more than their own element, or not each time the same
    "first_neuron": lambda a, b, p, n: a + b[..., :1],
    "many_neurons": lambda a, b, p, n: a + b[..., :600].abs(),
    "index": lambda a, b, p, n: a * b[0],
    "narrow": lambda a, b, p, n: a - b.narrow(-1, 0, 1),
    "roll": lambda a, b, p, n: a - b.roll(1, -1),
    "flip": lambda a, b, p, n: torch.maximum(a, b.flip(0)),
    "shape": lambda a, b, p, n: a / a.shape[-1],
    "size": lambda a, b, p, n: a + n / b.size(0),
    "len": lambda a, b, p, n: a / len(a),
    "numel": lambda a, b, p, n: a * n if b.numel() > 500 else a,
    "dim": lambda a, b, p, n: a / b.dim(),
    "zeros": lambda a, b, p, n: a + torch.arange(a.shape[-1], dtype=a.dtype),
    "sum": lambda a, b, p, n: a - b.sum().clamp(-3, 3),
    "mean": lambda a, b, p, n: a - b.mean(-1, keepdim=True),
    "any": lambda a, b, p, n: a * p.any(),
    "amax": lambda a, b, p, n: a / (1 + b.amax(0).abs()),
    "cumsum": lambda a, b, p, n: torch.tanh(b.cumsum(-1)) + a,
    "softmax": lambda a, b, p, n: torch.softmax(a, -1) * b,
    "rand": lambda a, b, p, n: a * torch.rand_like(a),
    "normal": lambda a, b, p, n: b.clone().normal_() + a,
    "random": lambda a, b, p, n: a * random.random(),
    "rarely": lambda a, b, p, n: a * n if random.random() < 0.1 else a,
    "numpy_random": lambda a, b, p, n: a * float(np.random.rand()),
    "branch": lambda a, b, p, n: a * n if p.flatten()[0] else b,
    "float": lambda a, b, p, n: a * max(-1.0, min(1.0, float(b.detach().flatten()[-1]))),
    "item": lambda a, b, p, n: a - (n if b.detach().min().item() < 0 else 0),
    "outside": lambda a, b, p, n: a * OUTSIDE.to(a.dtype),
    "in_place": lambda a, b, p, n: a + b.detach().mul_(0.5),
}
OUTSIDE = torch.tensor(0.5)
NUMBERS = [-1.3, -0.5, 0.25, 0.7, 1.0, 2.0]
WIDTHS = st.floats(0.1, 5.0)
SURROGATES: st.SearchStrategy[Surrogate] = st.one_of(
    *(st.builds(kind, WIDTHS) for kind in (ArcTan, Sigmoid, FastSigmoid, Triangle, Rectangle, Gaussian)),
    st.builds(StraightThrough),
    st.builds(ZeroGradient),
)
PICK = st.integers(0, 30)
INSTRUCTIONS = st.one_of(
    st.tuples(st.sampled_from(sorted(REAL)), PICK, PICK, PICK, st.sampled_from(NUMBERS)),
    st.tuples(st.sampled_from(sorted(TRUTH)), PICK, PICK, PICK, st.sampled_from(NUMBERS)),
    st.tuples(st.just("spike"), PICK, st.sampled_from(["at", "above"]), SURROGATES, st.sampled_from(NUMBERS)),
)


class Declaration(NamedTuple):
    """A step as the instructions that it follows. Equal declarations are equal steps."""

    states: int
    instructions: tuple[Any, ...]

    def __call__(self, x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        reals, truths = [x, *others], [x > 0]
        for name, first, second, third, number in self.instructions:
            a, p = reals[first % len(reals)], truths[first % len(truths)]
            if name == "spike":
                reals.append(spike(a - number, third, second))
                continue
            b, q = reals[second % len(reals)], truths[second % len(truths)]
            if callable(name):  # of IMPURE
                reals.append(name(a, b, truths[third % len(truths)], number))
            elif name in REAL:
                reals.append(REAL[name](a, b, truths[third % len(truths)], number))
            else:
                truths.append(TRUTH[name](a, b, p, q, number))
        # Each state leaks, and takes up a bounded share of what was computed last, so that nothing overflows.
        after = [
            0.4 * state + 0.5 * reals[-1 - index % len(reals)].clamp(-3, 3)
            for index, state in enumerate(others[: self.states])
        ]
        return (reals[-1], *after)


@st.composite
def declarations(draw: st.DrawFn) -> Declaration:
    return Declaration(draw(st.integers(1, 3)), tuple(draw(st.lists(INSTRUCTIONS, min_size=4, max_size=16))))


@st.composite
def impure_declarations(draw: st.DrawFn) -> Declaration:
    """A declaration with one operation of another kind, whose result the output depends on."""
    states, instructions = draw(declarations())
    impure = draw(st.tuples(st.sampled_from([*IMPURE.values()]), PICK, PICK, PICK, st.sampled_from(NUMBERS)))
    place = draw(st.integers(0, len(instructions)))
    end = ("add", -1, -2 - draw(PICK), 0, 1.0)
    return Declaration(states, (*instructions[:place], impure, ("sub", -1, 0, 0, 1.0), *instructions[place:], end))


class Leaf(NamedTuple):
    """A state or constant: what it is one of, and whether its gradient is asked for."""

    kind: str
    learns: bool

    def made(self, shape: tuple[int, ...], draw: torch.Generator) -> Tensor | float:
        value = torch.rand({"layer": (), "neuron": shape[-1:], "state": shape[1:]}.get(self.kind, ()), generator=draw)
        return value.item() if self.kind == "number" else (value + 0.1).double()


CONSTANTS = st.builds(Leaf, st.sampled_from(["number", "layer", "neuron"]), st.booleans())
STATES = st.builds(Leaf, st.sampled_from(["number", "state"]), st.booleans())
STEPS = st.sampled_from([1, 2, 15, 16, 17, 32, 33, 40])
BATCHES = st.sampled_from([(1, 1), (1, 3), (3, 5), (1, 511), (2, 256), (1, 513), (3, 400)])


def compute(engine: Any, step: Declaration, x: Tensor, leaves: list[Any], wanted: list[bool]) -> tuple[Any, Any]:
    """Results, and where any is wanted, the gradients under random gradients of all results."""
    tensors = [
        leaf.to(x.dtype).detach().clone().requires_grad_(flag) if isinstance(leaf, Tensor) else leaf
        for leaf, flag in zip([x, *leaves], wanted, strict=True)
    ]
    x, *rest = tensors
    output, last = run(step, step, x, rest[: step.states], rest[step.states :], engine)
    results = [output, *last]
    learned = [leaf for leaf in tensors if isinstance(leaf, Tensor) and leaf.requires_grad]
    draw = torch.Generator().manual_seed(1)
    upstream = [torch.randn(result.shape, generator=draw, dtype=result.dtype) for result in results]
    reached = [(result, g) for result, g in zip(results, upstream, strict=True) if result.requires_grad]
    if not reached:  # the step depends on nothing that learns, which the reference knows and a kernel does not
        return results, [torch.zeros_like(leaf) for leaf in learned]
    outputs, gradients = zip(*reached, strict=True)
    found = torch.autograd.grad(outputs, learned, gradients, allow_unused=True, materialize_grads=True)
    return [result.detach() for result in results], list(found)


@settings(
    phases=[Phase.generate],  # to shrink an example takes minutes, as each try compiles
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    step=declarations(),
    leaves=st.tuples(st.lists(STATES, min_size=3, max_size=3), st.lists(CONSTANTS, min_size=0, max_size=3)),
    steps=STEPS,
    batch=BATCHES,
    of_input=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_declaration_is_run_as_the_reference_runs_it(step, leaves, steps, batch, of_input, seed):
    kinds = [*leaves[0][: step.states], *leaves[1]]
    draw = torch.Generator().manual_seed(seed)
    shape = (steps, *batch)
    x = torch.randn(shape, generator=draw, dtype=torch.float64)
    made = [leaf.made(shape, draw) for leaf in kinds]
    wanted = [of_input, *(leaf.learns for leaf in kinds)]
    silent = [False] * len(wanted)
    for dtype, flags in ((torch.float32, silent), (torch.float64, wanted)):
        results, gradients = compute("fused", step, x.to(dtype), made, flags)
        expected, expected_gradients = compute("reference", step, x.to(dtype), made, flags)
        for found, right in zip(results, expected, strict=True):
            assert right.isfinite().all()
            assert torch.equal(found, right)
        for found, right in zip(gradients, expected_gradients, strict=True):
            scale = right.abs().max().clamp(min=1)
            torch.testing.assert_close(found / scale, right / scale, rtol=1e-9, atol=1e-9)


@settings(
    phases=[Phase.generate],
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    step=impure_declarations(),
    leaves=st.tuples(st.lists(STATES, min_size=3, max_size=3), st.lists(CONSTANTS, min_size=0, max_size=3)),
    steps=st.sampled_from([1, 2, 17]),
    batch=st.sampled_from([(1, 1), (1, 3), (3, 5), (2, 256), (3, 601)]),
    of_input=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_a_declaration_that_is_not_elementwise_or_not_always_the_same_is_run_by_the_reference(
    step, leaves, steps, batch, of_input, seed
):
    kinds = [*leaves[0][: step.states], *leaves[1]]
    draw = torch.Generator().manual_seed(seed)
    shape = (steps, *batch)
    x = torch.randn(shape, generator=draw, dtype=torch.float64)
    made = [leaf.made(shape, draw) for leaf in kinds]
    for flags in ([False] * (1 + len(kinds)), [of_input, *(leaf.learns for leaf in kinds)]):
        found = []
        for engine in ("auto", "reference"):
            torch.manual_seed(seed), random.seed(seed), np.random.seed(seed)
            results, gradients = compute(engine, step, x.clone(), made, flags)
            found.append([*results, *gradients, torch.rand(1), torch.tensor(random.random())])
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", IMPURE)
def test_each_of_the_other_operations_is_refused_by_the_fused_engine(name):
    step = Declaration(1, ((IMPURE[name], 0, 1, 0, 0.7),))
    with pytest.raises(UserError, match="can't run"):
        run(step, step, torch.randn(2, 3, 3), (0.0,), (), "fused")


@pytest.mark.parametrize("name", [*REAL, *TRUTH])
def test_each_operation_of_the_random_declarations_runs_fused(name):
    """Or else an engine that refuses one would leave a hole that no example shows."""
    step = Declaration(1, ((name, 0, 1, 0, 0.7), ("where", 0, 1, 1, 0.7)))
    run(step, step, torch.randn(2, 1, 3), (0.0,), (), "fused")


@pytest.mark.parametrize("engine", ["fused", "reference"])
def test_what_depends_on_a_constant_alone_is_the_same_for_all_neurons(engine):
    output, (last,) = run(lambda x, u, c: (c + 1, c * 2), "constant", torch.zeros(3, 2, 5), (0.0,), (0.5,), engine)
    assert torch.equal(output, torch.full((3, 2, 5), 1.5))
    assert torch.equal(last, torch.full((2, 5), 1.0))

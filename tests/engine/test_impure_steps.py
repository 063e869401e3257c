"""Steps that look at more than their own element and arguments: each runs as the reference runs it, and says so."""

import itertools
import logging
import random
import time
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from litspike.engine import Rule, run

PER_NEURON = torch.linspace(0.5, 1.5, 6)
ONE = torch.tensor(0.5)
STARTS = itertools.count()
GENERATOR = np.random.default_rng(0)
OWN = random.Random(0)
LINEAR = nn.Linear(6, 6)
TABLE = {"gain": 0.5}


def counted():
    calls = 0

    def step(x, u):
        nonlocal calls
        calls += 1
        return x * calls, u

    return step


def listing():
    seen = []

    def step(x, u):
        seen.append(1)
        return x * len(seen), u

    return step


class Counting:
    """A step that keeps count in its object."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x, u):
        self.calls += 1
        return x * self.calls, u


class Remembering:
    """A step that makes its attribute at the first call."""

    calls: ClassVar[int] = 0

    def step(self, x, u):
        type(self).calls += 1
        return x * self.calls, u


class OfItself(torch.autograd.Function):
    """A gradient that depends on the shape."""

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return v * 2

    @staticmethod
    def backward(ctx, *grads):
        return grads[0] * (3.0 if ctx.saved_tensors[0].shape[-1] > 5 else 2.0)


def marked(x, u):
    marked.calls = marked.calls + 1
    return x * marked.calls, u


marked.calls = 0


def remembered(x, u, memory=[]):  # noqa: B006
    memory.append(1)
    return x * len(memory), u


def by_global(x, u):
    global CALLS
    CALLS += 1
    return x * CALLS, u


CALLS = 0


def branching(x, u):
    return (x, u) if x.sum() > 0 else (u, x)


def assigning(x, u):
    y = x * 2
    y[..., 0] = 0
    return y, u


def assigning_many(x, u):
    y = x * 2
    y[..., :1000] = 0
    return y, u


def looping(x, u):
    total = 0
    for row in x:
        total = total + row
    return x + total, u


def importing(x, u):
    import random as r

    return x * r.random(), u


def hooked(x, u):
    y = x * 1.5
    if y.requires_grad:
        y.register_hook(lambda g: g * 2)
    return y, u


STEPS = {
    # indices and parts
    "first_neuron": lambda x, u: (x + u[..., :1], u),
    "many_neurons": lambda x, u: (x + u[..., :1000].flip(-1), u),
    "index": lambda x, u: (x + u[0], u),
    "ellipsis_index": lambda x, u: (x + u[..., 0:1], u),
    "narrow": lambda x, u: (x + u.narrow(-1, 0, 1), u),
    "select": lambda x, u: (x + u.select(-1, 0).unsqueeze(-1), u),
    "roll": lambda x, u: (x + u.roll(1, -1), u),
    "flip": lambda x, u: (x + u.flip(-1), u),
    "transpose": lambda x, u: (x + u.mT.mT.flip(0), u),
    "gather": lambda x, u: (x + torch.take_along_dim(u, torch.zeros(1, 1, dtype=torch.int64), -1), u),
    "unbind": lambda x, u: (x + torch.stack(u.unbind(-1)[::-1], -1), u),
    "chunk": lambda x, u: (x + torch.cat(u.chunk(2, -1)[::-1], -1), u),
    "all_so_far": lambda x, u: (x + u[..., :1000], u),
    "assigning": assigning,
    "assigning_many": assigning_many,
    "looping": looping,
    "diagonal": lambda x, u: (x + torch.tril(u), u),
    # shapes
    "shape": lambda x, u: (x / x.shape[-1], u),
    "size": lambda x, u: (x / x.size(-1), u),
    "len": lambda x, u: (x / len(x), u),
    "dim": lambda x, u: (x / x.dim(), u),
    "ndim": lambda x, u: (x / x.ndim, u),
    "numel": lambda x, u: (x / x.numel(), u),
    "torch_numel": lambda x, u: (x / torch.numel(x), u),
    "stride": lambda x, u: (x / (1 + x.stride()[0]), u),
    "wide_branch": lambda x, u: (x * 2 if x.shape[-1] > 5 else x, u),
    "zeros_of_shape": lambda x, u: (x + torch.arange(x.shape[-1]), u),
    "nbytes": lambda x, u: (x / x.nbytes, u),
    "storage": lambda x, u: (x * len(x.untyped_storage()), u),
    "gradient": lambda x, u: (OfItself.apply(x), u),
    # reductions
    "sum": lambda x, u: (x - x.sum(), u),
    "mean": lambda x, u: (x - x.mean(-1, keepdim=True), u),
    "max": lambda x, u: (x - x.amax(-1, keepdim=True), u),
    "any": lambda x, u: (x * (u > 0).any(), u),
    "norm": lambda x, u: (x / (1 + x.norm()), u),
    "softmax": lambda x, u: (torch.softmax(x, -1), u),
    "cumsum": lambda x, u: (x.cumsum(-1), u),
    "sort": lambda x, u: (x.sort(-1).values, u),
    "batch": lambda x, u: (x - x.mean(0), u),
    "winner": lambda x, u: (nn.functional.one_hot(x.argmax(-1), x.shape[-1]).to(x.dtype), u),
    "product": lambda x, u: (x @ torch.eye(6).roll(1, 0), u),
    "layer": lambda x, u: (LINEAR(x), u),
    # values that Python sees
    "branching": branching,
    "item": lambda x, u: (x * x.flatten()[0].item(), u),
    "float": lambda x, u: (x * float(x.detach().sum()), u),
    "tolist": lambda x, u: (x * x.tolist()[0][0], u),
    "numpy": lambda x, u: (x * float(x.detach().numpy().sum()), u),
    "asarray": lambda x, u: (x * float(np.asarray(x.detach()).sum()), u),
    "text": lambda x, u: (x * len(repr(x)), u),
    "allclose": lambda x, u: (x * 2 if torch.allclose(x, u) else x * 3, u),
    "equal": lambda x, u: (x * 2 if torch.equal(x, u) else x * 3, u),
    "contains": lambda x, u: (x * 2 if 0.0 in u else x * 3, u),
    "requires_grad": lambda x, u: (x * 2 if x.requires_grad else x * 3, u),
    "grad_mode": lambda x, u: (x * 2 if torch.is_grad_enabled() else x * 3, u),
    "is_leaf": lambda x, u: (x * 2 if u.is_leaf else x * 3, u),
    "hooked": hooked,
    # tensors from elsewhere
    "per_neuron": lambda x, u: (x * PER_NEURON, u),
    "one": lambda x, u: (x * ONE, u),
    "data": lambda x, u: (x * ONE.item(), u),
    "length_of_a_tensor": lambda x, u: (x * len(PER_NEURON), u),
    "literal_of_more": lambda x, u: (x * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), u),
    "ones_of_more": lambda x, u: (x * torch.ones(6), u),
    "parameter": lambda x, u: (x * LINEAR.bias, u),
    "array": lambda x, u: (x * torch.from_numpy(np.arange(6.0, dtype=np.float32)), u),
    # what differs from call to call
    "rand": lambda x, u: (x * torch.rand_like(x), u),
    "randn": lambda x, u: (x + torch.randn(()), u),
    "uniform": lambda x, u: (x * x.clone().uniform_(), u),
    "bernoulli": lambda x, u: (torch.bernoulli(torch.sigmoid(x)), u),
    "dropout": lambda x, u: (nn.functional.dropout(x, 0.5), u),
    "python_random": lambda x, u: (x * random.random(), u),
    "python_choice": lambda x, u: (x * random.choice((1.0, 1.0, 1.0, 2.0)), u),
    "rare_branch": lambda x, u: (x * 2 if random.random() < 0.05 else x, u),
    "own_random": lambda x, u: (x * OWN.random(), u),
    "numpy_random": lambda x, u: (x * float(np.random.rand()), u),
    "numpy_generator": lambda x, u: (x * GENERATOR.random(), u),
    "importing": importing,
    "time": lambda x, u: (x * (time.perf_counter()), u),
    "counter": lambda x, u: (x * next(STARTS), u),
    "counted": counted(),
    "listing": listing(),
    "counting": Counting(),
    "remembering": Remembering().step,
    "marked": marked,
    "remembered": remembered,
    "by_global": by_global,
    # in place
    "input_in_place": lambda x, u: (x.mul_(2), u),
    "state_in_place": lambda x, u: (x + 1, u.add_(x)),
    "data_in_place": lambda x, u: (x + 1, u.data.add_(x)),
    "detached_in_place": lambda x, u: (x.detach().mul_(2), u),
    "outside_in_place": lambda x, u: (x + ONE.add_(1), u),
    "out": lambda x, u: (torch.add(x, u, out=x), u),
    "copied_in_place": lambda x, u: (x, u.copy_(x)),
    # other results
    "truth": lambda x, u: (u > x, u),
    "double": lambda x, u: (x.double(), u),
    "row": lambda x, u: (x.sum(0) * 0 + 1, u),
    "number_of_list": lambda x, u: [x, u],
}

OF_GRADIENT = {"gradient"}


def outcome(step, engine, learns, steps=7):
    """Results, gradient, what was written to the input, and the numbers that are drawn next."""
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    x = torch.randn(steps, 4, 6, generator=torch.Generator().manual_seed(0))
    leaf = x.clone().requires_grad_(learns)
    try:
        with torch.set_grad_enabled(learns):
            output, (u,) = run(step, Rule(step, (id(step), engine)), leaf, (0.25,), (), engine, "Mine")
    except Exception as problem:
        return type(problem), str(problem)
    grad = None
    if output.requires_grad:
        (output.sum() + u.sum()).backward()
        grad = leaf.grad
    drawn = torch.rand(1), torch.tensor(random.random()), torch.tensor(np.random.rand())
    return output.detach(), u.detach(), grad, leaf.detach(), *drawn


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    return a == b


FRESH = {"counted": counted, "listing": listing, "counting": Counting, "remembering": lambda: Remembering().step}


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_reads_more_than_its_own_element_gives_what_the_reference_gives(name, learns, caplog, monkeypatch):
    found = []
    for engine in ("auto", "reference"):
        monkeypatch.setattr(time, "perf_counter", itertools.count(0.25, 0.125).__next__)
        step = FRESH.get(name, lambda: STEPS[name])()
        monkeypatch.setitem(globals(), "CALLS", 0)
        monkeypatch.setitem(globals(), "STARTS", itertools.count())
        monkeypatch.setitem(globals(), "ONE", torch.tensor(0.5))
        monkeypatch.setitem(globals(), "OWN", random.Random(0))
        monkeypatch.setitem(globals(), "GENERATOR", np.random.default_rng(0))
        marked.calls, Remembering.calls = 0, 0
        remembered.__defaults__[0].clear()
        with caplog.at_level(logging.WARNING, "litspike"):
            found.append(outcome(step, engine, learns))
    assert all(same(a, b) for a, b in zip(*found, strict=True))
    if not learns and name in OF_GRADIENT:
        assert not caplog.records, "without its gradient the step is elementwise"
        return
    assert len(caplog.records) == 1, "the line that says so"
    assert "\n" not in caplog.text.strip()

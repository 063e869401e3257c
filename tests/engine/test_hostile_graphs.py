"""A graph from a file may hold anything: the operators refuse in one line what would read or write beyond memory."""

import json
import random

import pytest
import torch

import litspike.engine.operator as operator
from litspike.engine import recurrent_operator
from litspike.settings import UserError

X = torch.randn(20, 3, 7, generator=torch.Generator().manual_seed(0))
U = torch.zeros(3, 7)
LETTERS = "TLsn"


def step(x, u, threshold, decay):
    u = u + x
    s = (u >= threshold).to(u.dtype)
    return s, torch.where(s > 0, u * decay, u) + x


@pytest.fixture(scope="module")
def arguments():
    rule = operator.Rule(step, ())
    text, further = operator.text_of(rule.number, 1, LETTERS, X.dtype)
    assert text
    assert not further
    tensors = [U, torch.tensor(1.0)]
    return {"current": X, "tensors": tensors, "numbers": [0.9], "text": text, "letters": LETTERS, "steps": 20}


def refused(call, *arguments):
    with pytest.raises(UserError, match=r"^litspike::run: ") as problem:
        call(*arguments)
    assert "\n" not in str(problem.value)
    assert len(str(problem.value)) < 500


WRONG = {
    "current": [X.double(), X[0], X[:5], X[..., None][:0], X.to_sparse(), torch.tensor(1.0), X.int()],
    "tensors": [
        [], [U], [U, U], [U[:1], torch.tensor(1.0)], [torch.zeros(7), torch.tensor(1.0)],
        [U.double(), torch.tensor(1.0)],
        [U, torch.tensor(1.0), U], [torch.tensor(1.0), U], [U.T, torch.tensor(1.0)],
        [torch.zeros(0), torch.tensor(1.0)], [U, torch.zeros(0)], [U, torch.ones(1, 1)], [U, torch.tensor(1)],
    ],
    "numbers": [[], [0.9, 0.9]],
    "letters": ["", "T", "TLs", "TLsnn", "Tnsn", "TLss",
                "xLsn", "TSsn", "TLsN", "tLsn", "TLSn", "tlsn", "LLsn", "TLtn", "é" * 4],
    "steps": [0, -1, 19, 21, 2**62],
    "text": ["", "[]", "{}", "null", "1", "[[[[", "[" * 100000, '["torch.float32", 1, 2, [], [], []]'],
}  # fmt: skip


@pytest.mark.parametrize(("name", "index"), [(name, index) for name in WRONG for index in range(len(WRONG[name]))])
def test_arguments_that_do_not_fit_are_refused_both_ways(name, index, arguments):
    arguments = {**arguments, name: WRONG[name][index]}
    refused(operator.forward, *arguments.values())
    grads, kept = [X, U], torch.zeros(1, 1, 3, 7)
    current, *rest = arguments.values()
    refused(operator.backward, grads, current, kept, *rest)


@pytest.mark.parametrize(
    ("grads", "kept"),
    [
        ([X[:2], U], torch.zeros(1, 1, 3, 7)),
        ([X, U[:1]], torch.zeros(1, 1, 3, 7)),
        ([X], torch.zeros(1, 1, 3, 7)),
        ([X, U, U], torch.zeros(1, 1, 3, 7)),
        ([X.double(), U], torch.zeros(1, 1, 3, 7)),
        ([X, U], torch.zeros(0, 1, 3, 7)),
        ([X, U], torch.zeros(1, 1, 3, 6)),
        ([X, U], torch.zeros(1, 1, 3, 7, dtype=torch.float64)),
    ],
)
def test_gradients_that_do_not_fit_are_refused(grads, kept, arguments):
    current, *rest = arguments.values()
    refused(operator.backward, grads, current, kept, *rest)


W = torch.zeros(7, 7)
MATRICES = [
    [], [U], [U, W, U[0], U], [U[:1], W], [U.double(), W], [U, W[:6]], [U, W.double()], [U, W, U], [W, U],
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, value) for name in ("tensors", "numbers", "letters", "text") for value in WRONG[name]],
        *[("current", value) for value in WRONG["current"] if len(value.shape) != 3 or len(value) != 5],
        *[("matrices", value) for value in MATRICES],
        *[("grads", value) for value in ([], [X, U], [X, U, U, U], [X[:2], U, U], [X.double(), U, U], [X, U, U[:1]])],
        *[("wanted", value) for value in ([], [True, True], [True] * 4)],
        *[("saved", value) for value in (torch.zeros(0, 1, 3, 7), torch.zeros(1, 1, 3, 6))],
        ("output", X[:2]),
    ],
)
def test_arguments_of_a_recurrent_layer_that_do_not_fit_are_refused_both_ways(name, value, arguments):
    step = {**arguments, "matrices": [U, W], name: value}
    grads, saved, output = [X, U, U], torch.zeros(1, 1, 3, 7), X
    back = {"grads": grads, "current": X, "saved": saved, "output": output, **step, "wanted": [True] * 3, name: value}
    order = ["matrices", "tensors", "numbers", "text", "letters"]
    if name not in ("grads", "wanted", "saved", "output"):
        refused(recurrent_operator.forward, *[step[key] for key in ("current", *order)])
    keys = ("grads", "current", "saved", "output", *order, "wanted")
    refused(recurrent_operator.backward, *[back[key] for key in keys])


def test_what_fits_is_run_whatever_its_strides(arguments):
    expected = operator.forward(*arguments.values())
    current = X.transpose(0, 2).contiguous().transpose(0, 2)
    tensors = [torch.zeros(7, 3).T, torch.tensor(1.0)]
    found = operator.forward(*{**arguments, "current": current, "tensors": tensors}.values())
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)
    ones = [torch.ones_like(result) for result in expected]
    _, *rest = arguments.values()
    found = operator.backward([ones[0].mT.contiguous().mT, ones[1]], current, expected[2], *rest)
    assert [list(gradient.shape) for gradient in found] == [[20, 3, 7], [3, 7]]


def damaged(content, draw):
    """A text with one part of it replaced, left out, doubled or moved."""
    parts, holder = [content], content
    while isinstance(holder, list) and holder and (len(parts) < 2 or draw.random() < 0.7):
        place = draw.randrange(len(holder))
        parts.append((holder, place))
        holder = holder[place]
    owner, place = parts[-1]
    other = draw.choice(
        [None, True, -1, 0, 1, 5, 10**6, 2**63, 10**400, 0.5, "", "leaf", "literal", "add", "select", "not", "0x1p+0",
         "nan",
         "ret void", "torch.float64", [], [0], [1, 2], [99], {}, ["add", [0, 1], ""], ["leaf", [], ""]]
    )  # fmt: skip
    how = draw.randrange(4)
    if how == 0:
        owner[place] = other
    elif how == 1:
        del owner[place]
    elif how == 2:
        owner.insert(place, other)
    else:
        owner.insert(draw.randrange(len(owner) + 1), owner[place])


def test_a_damaged_text_is_refused_or_is_a_step_in_its_bounds(arguments, monkeypatch):
    checked = []
    monkeypatch.setattr(operator, "CpuKernel", lambda program, leaves: checked.append(program))
    draw = random.Random(0)
    counts = {"refused": 0, "another step": 0}
    for _ in range(3000):
        content = json.loads(arguments["text"])
        for _ in range(draw.randint(1, 2)):
            damaged(content, draw)
        damaged_text = json.dumps(content)
        try:
            program = operator.from_text(damaged_text, operator.leaves_of(LETTERS))
        except UserError:
            counts["refused"] += 1
            continue
        counts["another step"] += 1
        values = len(program.nodes)
        assert all(0 <= operand < index for index, node in enumerate(program.nodes) for operand in node.operands)
        assert all(0 <= value < values for value in program.outputs)
        assert len(program.outputs) == 2
    assert counts["refused"] > 2000
    print(f"damaged texts of a graph: {counts}")

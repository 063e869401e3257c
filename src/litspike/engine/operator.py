"""The engines as operators of torch's library, for graphs that are compiled or exported.

A graph holds no Python object, so an operator is given its step as text: the traced program. A graph that is saved
and loaded elsewhere has all that it needs, and needs litspike to be imported.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from typing import Any, List, NamedTuple  # noqa: UP035  # the schemas of torch 2.6 know no other list

import torch
from torch import Tensor

from litspike.engine.autograd import Kernel, Launch, LayerKernel
from litspike.engine.cpu.kernel import CpuKernel
from litspike.engine.gpu.kernel import GpuKernel
from litspike.engine.inputs import Inputs, Real
from litspike.engine.ir.nest import Kind, Leaf
from litspike.engine.ir.numbers import trace_with_numbers
from litspike.engine.ir.program import Program
from litspike.engine.ir.surroundings import Surroundings
from litspike.engine.ir.text import from_text, to_text
from litspike.engine.rule import Rule
from litspike.settings import UserError

KERNELS: dict[str, type[LayerKernel]] = {"cpu": CpuKernel, "cuda": GpuKernel}
"""The class of kernels for each type of device."""


def letters_of(leaves: Sequence[Leaf]) -> str:
    """Leaves as text: a letter for the kind of each, a capital where its gradient is wanted."""
    return "".join(leaf.kind.value.upper() if leaf.wants_gradient else leaf.kind.value for leaf in leaves)


@cache
def leaves_of(letters: str) -> tuple[Leaf, ...]:
    """The leaves of a text of letters.

    Raises:
        UserError: if a letter has no meaning.
    """
    try:
        return tuple(Leaf(Kind(letter.lower()), letter.isupper()) for letter in letters)
    except ValueError as problem:
        raise UserError(f"litspike::run: the graph holds no step that can be run: {problem}") from None


def text_of(number: int, states: int, letters: str, dtype: torch.dtype) -> tuple[str, list[float]]:
    """The program of the step of a rule, by its number, as text, and the numbers that it takes as further constants.

    The text is empty where no fused engine can run the step.
    """
    rule = Rule.of(number)
    try:
        modes = torch.utils._python_dispatch._disable_current_modes()  # those of a graph that is being made
        with modes, Surroundings(rule.step):
            program, numbers = trace_with_numbers(rule.step, states, leaves_of(letters), dtype)
    except Exception:  # the reference runs, and shows what is wrong
        return "", []
    return to_text(program), numbers


# What torch.compiler.assume_constant_result does, without importing torch's compiler, which takes seconds.
text_of._dynamo_marked_constant = True  # type: ignore[attr-defined]


class Described(NamedTuple):
    """What an operator is given of a step: tensors and numbers among its values, its program and leaves as text."""

    tensors: Sequence[Tensor]
    numbers: Sequence[float]
    text: str
    letters: str


def described(key: Hashable, inputs: Inputs) -> Described | None:
    """A step in a graph that is being made; None where no operator can stand for it."""
    device = inputs.current.device.type
    if device not in KERNELS or not KERNELS[device].present or not isinstance(key, Rule):
        return None
    letters = letters_of(inputs.leaves)
    text, further = text_of(key.number, inputs.states, letters, inputs.current.dtype)
    if not text:
        return None
    tensors = [value for value in inputs.values if isinstance(value, Tensor)]
    numbers = [*[value for value in inputs.values if not isinstance(value, Tensor)], *further]
    return Described(tensors, numbers, text, letters + Kind.NUMBER.value * len(further))


def in_graph(key: Hashable, inputs: Inputs) -> Sequence[Tensor] | None:
    """Output and last states in a graph that is being made, or None where no operator can stand for the step."""
    current, steps = inputs.current, inputs.steps
    if steps is not None and current.device.type != "cpu":  # a kernel of the GPU reads an input of every step
        current, first = current.expand(steps, *current.shape), Leaf(Kind.PER_STEP, inputs.leaves[0].wants_gradient)
        inputs = inputs._replace(current=current, steps=None, leaves=(first, *inputs.leaves[1:]))
    found = described(key, inputs)
    if found is None:
        return None
    results: Sequence[Tensor] = forward(current, *found, current.shape[0] if inputs.steps is None else inputs.steps)
    return results[:-1]


@cache
def _kernel(make: Any, text: str, letters: str) -> Any:
    leaves = leaves_of(letters)
    return make(from_text(text, leaves), leaves)


def launch_of(types: Mapping[str, type[Kernel]], current: Tensor, step: Described, steps: int) -> tuple[Any, Launch]:
    """The kernel, of one of these types, and its launch; a graph from a file may hold anything.

    Raises:
        UserError: if the operator's arguments don't fit each other.
    """
    check(current.device.type in types, "a device that has kernels is asked for", current)
    make: Any = types[current.device.type]
    tensors, numbers, text, letters = step
    kernel, (given, *leaves) = _kernel(make, text, letters), leaves_of(letters)
    held = given.kind is Kind.PER_NEURON
    batch = current.shape if held else current.shape[1:]
    check(steps >= 1 and len(batch) >= 1 and (held or current.shape[:1] == (steps,)), "the input's shape", current)
    many = sum(leaf.kind is Kind.NUMBER for leaf in leaves)
    fit = (len(numbers), len(tensors)) == (many, len(leaves) - many)
    check(fit, f"{len(tensors)} tensors and {len(numbers)} numbers", current)
    each_tensor, each_number = iter(tensors), iter(numbers)
    values: list[Real] = []
    for kind, _ in leaves:
        shape = () if kind is Kind.SHARED else batch
        values.append(next(each_number) if kind is Kind.NUMBER else laid_out(next(each_tensor), kernel, current, shape))
    return kernel, Launch.of(laid_out(current, kernel, current, current.shape), values, steps if held else None)


def laid_out(tensor: Tensor, kernel: Kernel, current: Tensor, shape: Sequence[int]) -> Tensor:
    """A tensor's values as a kernel reads them, on the device of the input.

    Raises:
        UserError: if they have another shape or dtype, or are elsewhere.
    """
    fits = tensor.dtype == kernel.dtype and tensor.device == current.device and tensor.layout == torch.strided
    problem = f"{list(shape)} in {kernel.dtype} on {current.device} is asked for"
    check(fits and tensor.shape == torch.Size(shape), problem, tensor)
    return tensor.resolve_neg().contiguous()


def check(right: bool, what: str, got: Tensor) -> None:
    """Refuse a graph whose arguments don't fit each other."""
    if not right:
        got_text = f"{list(got.shape)} in {got.dtype} on {got.device}"
        raise UserError(f"litspike::run: the arguments don't fit the step ({what}; got {got_text})")


@torch.library.custom_op("litspike::run", mutates_args=())
def forward(
    current: Tensor, tensors: Sequence[Tensor], numbers: Sequence[float], text: str, letters: str, steps: int
) -> List[Tensor]:  # noqa: UP006  # as above  # the one list that torch 2.6 takes
    """Output, last states, and the states saved for the backward pass."""
    kernel, launch = launch_of(KERNELS, current, Described(tensors, numbers, text, letters), steps)
    saved = current.new_empty(saved_shape(kernel, steps, kernel.program, launch.batch))
    return [*kernel.run(launch._replace(saved=saved)), saved]


def saved_shape(kernel: Kernel | type[Kernel], steps: int, program: Program, batch: Sequence[int]) -> list[int]:
    """Of the states before every segment but the first."""
    return [(steps - 1) // kernel.segment(program), program.states, *batch]


@forward.register_fake
def _(
    current: Tensor, tensors: Sequence[Tensor], numbers: Sequence[float], text: str, letters: str, steps: int
) -> list[Tensor]:
    leaves = leaves_of(letters)
    program = from_text(text, leaves)
    batch = current.shape if leaves[0].kind is Kind.PER_NEURON else current.shape[1:]
    lasts = [current.new_empty(batch) for _ in range(program.states)]
    saved = saved_shape(KERNELS[current.device.type], steps, program, batch)
    return [current.new_empty(steps, *batch), *lasts, current.new_empty(saved)]


@torch.library.custom_op("litspike::run_back", mutates_args=())
def backward(
    grads: Sequence[Tensor],
    current: Tensor,
    saved: Tensor,
    tensors: Sequence[Tensor],
    numbers: Sequence[float],
    text: str,
    letters: str,
    steps: int,
) -> List[Tensor]:  # noqa: UP006
    """The gradients that are wanted."""
    kernel, launch = launch_of(KERNELS, current, Described(tensors, numbers, text, letters), steps)
    check(kernel.learns and len(grads) == 1 + kernel.states, f"{len(grads)} gradients", current)
    batch = launch.batch
    saved = laid_out(saved, kernel, current, saved_shape(kernel, steps, kernel.program, batch))
    upstream, *lasts = grads
    grads = [
        laid_out(upstream, kernel, current, (steps, *batch)),
        *(laid_out(g, kernel, current, batch) for g in lasts),
    ]
    gradients = kernel.adjoint(launch._replace(saved=saved), grads)
    return [gradient for gradient in gradients if gradient is not None]


@backward.register_fake
def _(
    grads: Sequence[Tensor],
    current: Tensor,
    saved: Tensor,
    tensors: Sequence[Tensor],
    numbers: Sequence[float],
    text: str,
    letters: str,
    steps: int,
) -> list[Tensor]:
    with_values = [leaf for leaf in leaves_of(letters) if leaf.kind is not Kind.NUMBER]
    each = zip(with_values, [current, *tensors], strict=True)
    return [tensor.new_empty(tensor.shape) for leaf, tensor in each if leaf.wants_gradient]


def _setup(ctx: Any, inputs: Any, output: list[Tensor]) -> None:
    current, tensors, numbers, *ctx.rest = inputs
    ctx.numbers = list(numbers)
    ctx.save_for_backward(current, output[-1], *tensors)


def _backward(ctx: Any, grads: Sequence[Tensor]) -> tuple[Any, ...]:
    current, saved, *tensors = ctx.saved_tensors
    text, letters, steps = ctx.rest
    each = iter(backward(list(grads[:-1]), current, saved, tensors, ctx.numbers, text, letters, steps))
    leaves = [leaf for leaf in leaves_of(letters) if leaf.kind is not Kind.NUMBER]
    gradients = [next(each) if leaf.wants_gradient else None for leaf in leaves]
    return gradients[0], gradients[1:], None, None, None, None


forward.register_autograd(_backward, setup_context=_setup)

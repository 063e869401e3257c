"""Long sequences through a network in pieces: the gradients of the whole in the memory of one piece.

Forward keeps the states between pieces alone. Backward takes the pieces from the last to the first, runs each forward
once more and then back (Chen et al. 2016, "Training deep nets with sublinear memory cost").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from litspike.engine.modes import ordinary
from litspike.internals.torch import BatchOrInstanceNorm, has_forward_hooks
from litspike.networks.dropout import TimeDropout, one_sequence
from litspike.networks.sequence import SequenceLayer, SpikingNetwork
from litspike.settings import SettingError

Gradient = Literal["whole", "truncated"]
LONG, PIECE = 2048, 1024
"""Steps above which a sequence is taken in pieces where no setting says otherwise, and the steps of such a piece."""


def run_network(
    network: nn.Module, current: Tensor, state: Any = None, steps: int | None = None, gradient: Gradient = "whole"
) -> tuple[Tensor, Any]:
    r"""``output, state = network(current, state)``, in pieces where the sequence is long.

    Outputs, states and gradients are those of the whole sequence but for rounding: a dense product of torch's may
    round by its number of rows, those on events don't, and the gradients of the weights are summed within a piece as
    torch's products do, and from the last piece to the first: two such sums of n products in float32 differ by at most
    2⁻²³ n of the sum of their magnitudes. Without gradients, a network whose layers have hooks is
    run whole, since these expect to see all steps at once. In training, hooks see each piece twice.

    Args:
        network: any that is called so, and gives for a sequence in pieces what it gives for the whole.
        current: [T, B, \*].
        state: before the first step; at rest where None.
        steps: of a piece; where None, 1024 for a sequence above 2048 steps that can be taken in pieces, else all.
        gradient: ``truncated`` cuts the gradient between the pieces: truncated backpropagation through time.

    Raises:
        SettingError: if a layer needs all steps at once, and ``steps`` are fewer.

    Example:
        >>> import torch
        >>> from litspike import LIF, Perceptron
        >>> from litspike.networks import run_network
        >>> network, x = Perceptron([2, 10, 1], LIF()), torch.rand(3000, 4, 2)
        >>> output, state = run_network(network, x, steps=500)
        >>> bool(torch.equal(output, network(x)[0]))
        True
    """
    length = current.shape[0] if current.dim() else 0
    if length <= (LONG if steps is None else steps) or not ordinary([current]) or torch.compiler.is_compiling():
        return network(current, state)  # type: ignore[no-any-return]
    problem = _whole_only(network)
    if steps is None:
        if problem is not None or not isinstance(network, SpikingNetwork):
            return network(current, state)  # type: ignore[no-any-return]
        steps = PIECE
    if problem is not None:
        raise SettingError("steps", steps, f"can't be below the {length} steps of a sample: {problem}")
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    leaves = [] if state is None else list(tensors_of(state))
    if torch.is_grad_enabled() and (parameters or current.requires_grad or any(leaf.requires_grad for leaf in leaves)):
        run = _Run(network, steps, gradient, state, len(leaves), current.device.type)
        output, *after = _InPieces.apply(run, current, *leaves, *parameters)  # type: ignore[no-untyped-call]
        return output, _rebuilt(run.after, iter(after))
    if any(map(has_forward_hooks, network.modules())):
        return network(current, state)  # type: ignore[no-any-return]
    outputs = _Room(length, steps)
    with one_sequence({}):
        for number, piece in enumerate(_pieces(current, steps)):
            output, state = network(piece, state)
            outputs.put(number, output)
    return outputs.all, state


def _pieces(current: Tensor, steps: int) -> list[Tensor]:
    return [current[first : first + steps] for first in range(0, len(current), steps)]


class _Room:
    """Room for what each piece leaves, made at once: small results between large ones would split the heap."""

    all: Tensor

    def __init__(self, length: int, steps: int) -> None:
        self.length, self.steps = length, steps

    def put(self, number: int, value: Tensor) -> None:
        if not number:
            self.all = value.new_empty(self.length, *value.shape[1:])
        self.all[number * self.steps : (number + 1) * self.steps] = value


def _whole_only(network: nn.Module) -> str | None:
    """Why a network can't be run in pieces."""
    for name, module in network.named_modules():
        kind = f"network.{name} ({type(module).__name__})"
        if isinstance(module, BatchOrInstanceNorm) and module.training:
            return f"{kind} takes its statistics over all of them"
        if isinstance(module, SequenceLayer) and not isinstance(module, TimeDropout):
            return f"{kind} is called on all of them"
    return None


class _Run:
    """A network, how it is run, and what its backward pass needs beside tensors."""

    def __init__(
        self, network: nn.Module, steps: int, gradient: Gradient, state: Any, leaves: int, device: str
    ) -> None:
        self.network, self.steps, self.gradient, self.leaves = network, steps, gradient, leaves
        self.autocast = device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)
        self.first = self.after = state
        """The states before the first piece and after the last."""
        self.between: list[_Room] = []
        """Each tensor of the states after each piece, one a row."""
        self.random: list[_Room] = []
        """The states of torch's global generators before each piece, which is run once more, one a row."""
        self.masks: dict[nn.Module, Tensor] = {}

    def before(self, number: int) -> Any:
        """The states before a piece."""
        if not number:
            return self.first
        return _rebuilt(self.after, (room.all[number - 1] for room in self.between))


class _InPieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, run: _Run, current: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        pieces = _pieces(current, run.steps)
        outputs = _Room(len(current), run.steps)
        with one_sequence(run.masks):
            for number, piece in enumerate(pieces):
                _note(run.random, number, len(pieces), _random_states(current.device))
                output, run.after = run.network(piece, run.after)
                outputs.put(number, output)
                _note(run.between, number, len(pieces), list(tensors_of(run.after)))
        ctx.run = run
        ctx.save_for_backward(current, *tensors)
        ctx.set_materialize_grads(False)
        return outputs.all, *(leaf.clone() for leaf in tensors_of(run.after))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, *after: Tensor | None) -> tuple[Tensor | None, ...]:
        run: _Run = ctx.run
        current, *tensors = ctx.saved_tensors
        parameters, wants_current = tensors[run.leaves :], ctx.needs_input_grad[1]
        sums: list[Tensor | None] = [None] * len(parameters)
        back = current.new_empty(current.shape) if wants_current else None
        states: Sequence[Tensor | None] = after
        for number in reversed(range(-(-len(current) // run.steps))):
            part, at = slice(number * run.steps, (number + 1) * run.steps), run.before(number)
            piece = current[part].detach().requires_grad_(wants_current)
            before = [leaf.detach().requires_grad_() for leaf in tensors_of(at)]
            state = None if at is None else _rebuilt(at, iter(before))
            with (
                torch.enable_grad(),
                one_sequence(run.masks),
                _drawing_as_before([room.all[number] for room in run.random], current.device),
                torch.autocast(*run.autocast),
            ):
                output, later = run.network(piece, state)
            pairs = zip([output, *tensors_of(later)], [None if grad is None else grad[part], *states], strict=True)
            roots = [(root, g) for root, g in pairs if g is not None and root.requires_grad]
            targets = [*([piece] if wants_current else []), *before, *parameters]
            found: Sequence[Tensor | None] = [None] * len(targets)
            if roots:
                results, upstream = zip(*roots, strict=True)
                found = torch.autograd.grad(results, targets, upstream, allow_unused=True)
            found = list(found)
            if back is not None:
                first = found.pop(0)
                back[part] = 0 if first is None else first
            states, of_parameters = found[: len(before)], found[len(before) :]
            sums = [_added(total, more) for total, more in zip(sums, of_parameters, strict=True)]
            if number and run.gradient == "truncated":
                states = [None] * len(states)
        return None, back, *states, *sums


def _note(rooms: list[_Room], number: int, pieces: int, values: Sequence[Tensor]) -> None:
    """Put a row into each room; the rooms are made at the first."""
    if not rooms:
        rooms += [_Room(pieces, 1) for _ in values]
    for room, value in zip(rooms, values, strict=True):
        room.put(number, value[None])


def _random_states(device: torch.device) -> list[Tensor]:
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


@contextmanager
def _drawing_as_before(states: Sequence[Tensor], device: torch.device) -> Iterator[None]:
    """Inside, torch's global generators go on from these states."""
    cpu, *cuda = states
    with torch.random.fork_rng([device] if cuda else []):
        torch.set_rng_state(cpu.clone())  # torch reads from the begin of its memory
        for state in cuda:
            torch.cuda.set_rng_state(state.clone(), device)
        yield


def _added(total: Tensor | None, more: Tensor | None) -> Tensor | None:
    return more if total is None else total if more is None else total.add_(more)


def tensors_of(state: Any) -> Iterator[Tensor]:
    """The tensors of a state, however deep."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, (tuple, list)):
        for part in state:
            yield from tensors_of(part)


def _rebuilt(state: Any, leaves: Iterator[Tensor]) -> Any:
    """A state like another, of other tensors."""
    if isinstance(state, Tensor):
        return next(leaves)
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return type(state)(*(_rebuilt(part, leaves) for part in state))
    if isinstance(state, (tuple, list)):
        return type(state)(_rebuilt(part, leaves) for part in state)
    return state

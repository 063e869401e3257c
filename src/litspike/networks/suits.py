"""Whether a network fits the data: in one pass, the layer that fails is named with what it expects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from litspike import memory
from litspike.arguments import InputError
from litspike.internals.torch import BatchNorm, Convolution
from litspike.settings import UserError

_MAPS = {1: "[channels, length]", 2: "[channels, height, width]", 3: "[channels, depth, height, width]"}


class Mismatch(InputError):
    """A layer gets numbers of another type, or samples of another shape, than its weights are for."""


class Unsuited(UserError):
    """A layer whose input has the wrong shape or type.

    Args:
        name: the layer's, as ``named_modules`` has it; empty for the network itself.
        layer: the layer.
        shape: of what one sample gives it at one step, [*]; None where it gets no tensor.
        problem: what it expects, and what it gets.
        first: whether it gets the network's input, which no layer has changed.
        dtypes: whether it is the dtype of the input that is wrong.
    """

    def __init__(
        self, name: str, layer: nn.Module, shape: tuple[int, ...] | None, problem: str, first: bool, dtypes: bool
    ) -> None:
        kind = type(layer).__name__
        super().__init__(f"{name} ({kind}) {problem}" if name else f"{kind} {problem}")
        self.layer, self.shape, self.first, self.dtypes = layer, shape, first, dtypes


@contextmanager
def naming(network: nn.Module, sample: tuple[int, ...]) -> Iterator[None]:
    """Raise :class:`Unsuited` for an error of PyTorch's in a pass of ``network`` that runs inside the context.

    Args:
        network: whose layers are named.
        sample: shape of one sample at one step, [*].
    """
    entered: list[tuple[str, nn.Module, Any]] = []

    def entering(name: str) -> Callable[..., None]:
        return lambda layer, arguments: entered.append((name, layer, arguments[0] if arguments else None))

    with ExitStack() as hooks:
        for name, layer in network.named_modules():
            hooks.callback(layer.register_forward_pre_hook(entering(name)).remove)
            hooks.callback(layer.register_forward_hook(lambda *_: entered.pop() and None).remove)
        try:
            yield
        except UserError as error:
            if not isinstance(error, Mismatch):
                raise
            raise unsuited(entered[-1], error.__cause__ or error, sample) from error
        except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, AssertionError) as error:
            if not entered or memory.ran_out(error):
                raise
            raise unsuited(entered[-1], error, sample) from error


def unsuited(entered: tuple[str, nn.Module, Any], error: BaseException, sample: tuple[int, ...]) -> Unsuited:
    """The error of a layer in a pass.

    Args:
        entered: the layer's name, the layer and its input.
        error: what it raised.
        sample: shape of one sample at one step, [*].
    """
    name, layer, x = entered
    shape = _step_shape(x, sample)
    problem, first = _problem(layer, x, shape, error), shape == sample
    return Unsuited(name, layer, shape, problem, first, _other_dtype(layer, x))


def normalises_one_value(network: nn.Module, run: Callable[[], object]) -> str | None:
    """Name of the first batch norm that gets one value a channel while ``run`` runs; None where there is none."""
    found: list[str] = []

    def checking(name: str) -> Callable[..., None]:
        def check(layer: nn.Module, arguments: tuple[Any, ...]) -> None:
            x = arguments[0]
            if x.dim() > 1 and x.numel() == x.shape[1]:
                found.append(f"{name} ({type(layer).__name__})")

        return check

    with ExitStack() as hooks:
        for name, layer in network.named_modules():
            if isinstance(layer, BatchNorm):
                hooks.callback(layer.register_forward_pre_hook(checking(name)).remove)
        run()
    return found[0] if found else None


def _step_shape(x: Any, sample: tuple[int, ...]) -> tuple[int, ...] | None:
    """Shape of one sample at one step, from the input of a layer, [B, *] or [T, B, *]."""
    if not isinstance(x, Tensor) or x.dim() == 0:
        return None
    shape = tuple(x.shape)
    return shape[-len(sample) :] if sample and shape[-len(sample) :] == sample else shape[1:]


def _problem(layer: nn.Module, x: Any, shape: tuple[int, ...] | None, error: BaseException) -> str:
    if not isinstance(x, Tensor) or shape is None:
        return f"fails: {_first_line(error)}"
    return mismatch(layer, x, shape) or f"can't take {list(shape)}: {_first_line(error)}"


def mismatch(layer: nn.Module, x: Tensor, shape: tuple[int, ...]) -> str | None:
    """What a layer that failed expects and what it gets; None where that isn't why.

    Args:
        layer: any.
        x: its input, [B, *] or [T, B, *].
        shape: of one sample at one step, [*].
    """
    if _other_dtype(layer, x):
        return f"has weights of {_dtype(next(layer.parameters(recurse=False)))} and gets {_dtype(x)}"
    got = list(shape)
    if isinstance(layer, nn.Linear) and x.shape[-1] != layer.in_features:
        return f"takes {layer.in_features} inputs and gets {x.shape[-1]}"
    if isinstance(layer, Convolution):
        dimensions = len(layer.kernel_size)
        if x.dim() != dimensions + 2:
            return f"takes {_MAPS[dimensions]} and gets {got}"
        if x.shape[1] != layer.in_channels:
            return f"takes {layer.in_channels} channels and gets {x.shape[1]}"
        return f"has a kernel of {list(layer.kernel_size)}, too large for {got}"
    if isinstance(layer, BatchNorm) and x.dim() > 1 and x.shape[1] != layer.num_features:
        return f"takes {layer.num_features} channels and gets {x.shape[1]}"
    return None


def _other_dtype(layer: nn.Module, x: Any) -> bool:
    """Whether a layer's weights have another type than what it gets."""
    weight = next((value for value in layer.parameters(recurse=False)), None)
    if weight is None or not isinstance(x, Tensor):
        return False
    return weight.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type)


def _dtype(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

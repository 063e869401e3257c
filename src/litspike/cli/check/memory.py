"""Sizes that this machine's memory can't hold: refused before anything is made or trained."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jsonargparse import Namespace
from torch import Tensor, nn

from litspike import memory
from litspike.networks.pieces import LONG, PIECE
from litspike.seeding import isolated
from litspike.settings import UserError
from litspike.tasks.task import Task

_OURS = ("litspike.networks.", "litspike.neurons.", "litspike.surrogates.", "torch.nn.", "torch.optim.")
"""Classes that can be made twice: nothing but memory and random numbers comes of it."""


def check_network(config: Namespace, trains: bool) -> None:
    """Refuse a network whose parameters need more memory than there is, where its classes are litspike's and torch's.

    Args:
        config: the whole configuration.
        trains: whether gradients and the state of the optimizer are needed too.

    Raises:
        UserError: with how much it would take.
    """
    network, optimizer = config.get("model.init_args.network"), config.get("model.init_args.optimizer")
    with isolated():
        try:
            with torch.device("meta"):
                parameters = list(_made(network).parameters())
        except Exception:  # its error is reported where it is made
            return
        weights = sum(parameter.numel() * parameter.element_size() for parameter in parameters)
        copies = 2 + _copies(optimizer) if trains else 1
    needs = [(copies, room := memory.available(), "this machine")]
    if _on_gpu(config):  # where they go once they are made, and the rest is
        needs = [(1, room, "this machine"), (copies, _of_gpu(None), "the GPU")]
    for times, room, where in needs:
        if times * weights > room:
            more = " with their gradients and the optimizer's state" if trains and times == copies else ""
            raise UserError(
                f"model.network: its {sum(map(Tensor.numel, parameters))} parameters take "
                f"{memory.shown(times * weights)}{more}, and {where} has {memory.shown(room)}: make it smaller"
            )


def _on_gpu(config: Namespace) -> bool:
    """Whether the trainer will use a GPU that has memory of its own, and this process may ask how much: not where it is
    to be forked, for a GPU that is in use can't be used after that.
    """
    chosen = config.get("trainer.accelerator", "auto") in ("auto", "gpu", "cuda")
    return chosen and "fork" not in str(config.get("trainer.strategy")) and torch.cuda.is_available()


def _of_gpu(device: torch.device | None) -> int:
    """Bytes that this process can get on a GPU: those that are free, and those that torch keeps for the next tensor."""
    free: int = torch.cuda.mem_get_info(device)[0]
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _made(settings: Any, *first: Any) -> Any:
    """What settings of harmless classes make; raises ValueError for any other."""
    if isinstance(settings, list):
        return [_made(entry) for entry in settings]
    if not isinstance(settings, Namespace):
        return settings
    path = settings.get("class_path")
    if not isinstance(path, str) or not path.startswith(_OURS):
        raise ValueError(path)
    arguments = settings.get("init_args")
    named = {} if arguments is None else {name: _made(value) for name, value in vars(arguments).items()}
    return pkgutil.resolve_name(path)(*first, **named)


def _copies(optimizer: Any) -> int:
    """Tensors as large as a parameter that an optimizer keeps of it; 0 where it isn't known."""
    tiny = nn.Parameter(torch.zeros(2, 2))
    tiny.grad = torch.zeros(2, 2)
    try:
        made = _made(optimizer, [tiny])
        made.step()
    except Exception:  # its error is reported where it is made
        return 0
    return sum(isinstance(value, Tensor) and value.shape == tiny.shape for value in made.state[tiny].values())


@dataclass
class Largest:
    """The layer whose output for one sample takes the most bytes."""

    size: int = 0
    layer: str = ""


@contextmanager
def largest_output(network: nn.Module) -> Iterator[Largest]:
    """Note the largest output of a layer in a pass of one sample that runs inside the context."""
    found = Largest()

    def noting(name: str) -> Any:
        def note(layer: nn.Module, _: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) and output else output
            if isinstance(tensor, Tensor) and tensor.nbytes > found.size:
                found.size, found.layer = tensor.nbytes, f"{name} ({type(layer).__name__})".lstrip()

        return note

    with ExitStack() as hooks:
        for name, layer in network.named_modules():
            hooks.callback(layer.register_forward_hook(noting(name)).remove)
        yield found


def check_batch(task: Task, current: Tensor, largest: Largest, samples: int) -> None:
    """Refuse batches of which one tensor alone is larger than the memory.

    Args:
        task: which takes long sequences in pieces.
        current: one sample as the network gets it, [T, 1, \\*].
        largest: of the outputs of its layers.
        samples: of a batch.

    Raises:
        UserError: with how much the tensor would take.
    """
    steps = len(current)
    together = task.steps_together or (PIECE if steps > LONG else steps)
    needs = {
        f"in {largest.layer}": largest.size * min(together, steps) // steps * samples,
        "in the network's input": current.nbytes * samples,
    }
    room = _of_gpu(current.device) if current.is_cuda else memory.available()
    for where, need in needs.items():
        if need > room:
            raise UserError(
                f"data: a batch of {samples} samples of {steps} steps takes {memory.shown(need)} {where} alone, and "
                f"there are {memory.shown(room)}: make the batches, the steps or the network smaller"
            )

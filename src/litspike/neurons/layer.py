"""Common interface of neuron layers."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any, Self, dataclass_transform

import torch
from torch import Tensor, nn

from litspike.arguments import check_tensor
from litspike.neurons.declaration import option, param
from litspike.settings import integer


def check_call(layer: nn.Module, current: Any, steps: Any) -> None:
    """Refuse a call of a layer of neurons with anything but a tensor and a number of steps."""
    check_tensor(layer, "the input", current)
    if steps is not None:
        integer("steps", steps)


class LayerType(ABCMeta):
    """Type of the layers' classes: ``dir`` of one, and so ``help``, leaves out what every module of torch has.

    ``dir`` of a layer itself has all of it. That a method is abstract is for type checkers: a model that lacks one is
    refused in plain words when it is made.
    """

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
        """Make a class whose objects may be made."""
        made: Any = super().__new__(cls, *arguments, **keywords)
        made.__abstractmethods__ = frozenset()
        return made

    def __dir__(cls) -> list[str]:
        """Names that litspike, or who derives from it, has given to the class and its bases."""
        own = {name for base in cls.__mro__ if base not in nn.Module.__mro__ for name in vars(base)}
        return sorted(name for name in own if not name.startswith("_") or name == "__init__")


@dataclass_transform(kw_only_default=True, field_specifiers=(param, option))  # for the models' constructors
class NeuronLayer(nn.Module, metaclass=LayerType):
    """A layer of neurons that is called as ``torch.nn.LSTM`` is: its state is passed and returned."""

    def __dir__(self) -> list[str]:
        """All attributes, those of every module included."""
        return sorted({*dir(nn.Module), *super().__dir__()})  # type: ignore[no-untyped-call]  # of torch

    @abstractmethod
    def forward(self, current: Tensor, state: Any = None, steps: int | None = None) -> tuple[Tensor, Any]:
        r"""Run over a sequence, from rest where ``state`` is None.

        Args:
            current: input, [T, B, \*].
            state: what an earlier call returned.
            steps: T, where ``current`` is [B, \*] and the same at every step.

        Returns:
            The output of every step, [T, B, \*], and the state after the last one. Its ``detach()`` cuts it off the
            graph that made it.
        """

    @torch.no_grad()
    def distance(self, current: Tensor, state: Any = None, steps: int | None = None) -> Tensor | None:
        r"""How far the membrane potential is above the threshold at each step, before any reset, without a gradient.

        It takes and returns what :meth:`excess` does.
        """
        return self.excess(current, state, steps)

    def excess(self, current: Tensor, state: Any = None, steps: int | None = None) -> Tensor | None:
        r"""How far the membrane potential is above the threshold at each step, before any reset, with its gradient.

        Args:
            current: as in a call.
            state: as in a call.
            steps: as in a call.

        Returns:
            The membrane potential less the threshold, [T, B, \*], negative below the threshold; None for a layer that
            has no spikes, or doesn't know.
        """
        return None

    @abstractmethod
    def shaped(self, *shape: int) -> Self:
        r"""A copy of this layer for samples of shape [\*], with parameters of its own."""

"""What litspike uses of torch's private parts outside of the engine.

The engine's own are in ``litspike.engine.modes``, and in the files that record steps and make operators of them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, distributed, nn
from torch.nn.modules import module as _global_hooks
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import _register_namedtuple

BatchNorm, Convolution = _BatchNorm, _ConvNd
"""What all batch norms, and all convolutions, derive from, those of other libraries too; torch has no public names."""
BatchOrInstanceNorm = _NormBase
"""The same of batch norms and instance norms, which hold running statistics."""


def process_store() -> Any:
    """The store of names and values that the processes of a training meet at.

    A store of our own would need a second port, on which a cluster's firewall has the last word.
    """
    return distributed.distributed_c10d._get_default_store()


def has_forward_hooks(module: nn.Module) -> bool:
    """Whether somebody else's code runs in the forward pass of a module; torch has no list of hooks that is public."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def calls_forward_alone(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether a call of a layer runs the forward pass of a class and nothing else: no hook of it or of all modules."""
    own = has_forward_hooks(layer) or layer._backward_hooks or layer._backward_pre_hooks
    of_all = (
        *(_global_hooks._global_forward_hooks, _global_hooks._global_forward_pre_hooks),
        *(_global_hooks._global_backward_hooks, _global_hooks._global_backward_pre_hooks),
    )
    return type(layer).forward is kind.forward and not own and not any(of_all)


def convolve(layer: nn.Module, x: Tensor, weight: Tensor) -> Tensor:
    """A convolution of x with another weight, without bias, with the layer's padding: no call has such an argument."""
    result: Tensor = layer._conv_forward(x, weight, None)  # type: ignore[operator]  # of every convolution
    return result


def register_namedtuple(kind: type[Any], name: str) -> None:
    """Let a named tuple be a part of programs that torch.export saves, under a name; no public function does it."""
    _register_namedtuple(kind, serialized_type_name=name)


def without_modes() -> AbstractContextManager[Any]:
    """Inside, none of torch's modes is active, such as that of fake tensors while a graph is made.

    The public ``torch.utils`` has modes to enter and none to leave.
    """
    modes_off: AbstractContextManager[Any] = _disable_current_modes()
    return modes_off

"""The one call for recurrent layers: a step over time that takes in, weighted, its own output of the step before."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from litspike.engine.call import HALF, checked, kernel_for
from litspike.engine.cpu.recurrent import RecurrentKernel
from litspike.engine.events.spikes import plain
from litspike.engine.ir.surroundings import Untraceable
from litspike.engine.modes import ordinary
from litspike.engine.reference import Step


def run_recurrent(
    step: Step,
    key: Hashable,
    current: Tensor,
    first: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    states: Sequence[Tensor | float],
    constants: Sequence[Tensor | float],
    name: str,
) -> Sequence[Tensor] | None:
    """Output [T, B, *], last output and last states of ``y[t], *u = step(x[t] + weight · y[t − 1] + bias, *u, *c)``.

    The sum over y[t − 1] is taken over what is not zero, in the order of the neurons, beginning with the bias, and the
    input is added to it. A dense product sums in another order: the last bit of a current may differ from the
    reference's.

    Args:
        step: as for :func:`litspike.engine.run`, as are key, current, states, constants and name.
        first: the output before the first step, [B, *].
        weight: [N, N] for the N neurons of a sample.
        bias: [N]; None for 0.

    Returns:
        None where the reference has to run: on another device, in a graph, under a transform or mode of torch, or for
        a step that can't be fused.
    """
    current, first = plain(current), plain(first)
    if current.dtype in HALF:
        single = first.float(), weight.float(), None if bias is None else bias.float()
        found = run_recurrent(step, key, current.float(), *single, states, constants, name)
        if found is None or torch.is_autocast_enabled("cpu"):
            return found
        return [found[0].to(current.dtype), *found[1:]]
    leaves, letters = checked(name, current, states, constants, None)
    matrices = [first, weight, *([] if bias is None else [bias])]
    alike = all(tensor.dtype is current.dtype and tensor.device.type == "cpu" for tensor in matrices)
    if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu") or not alike:
        return None
    if current.device.type != "cpu" or not ordinary([current, *matrices, *leaves]):
        return None
    if torch.is_grad_enabled() and (letters != letters.lower() or any(m.requires_grad for m in (current, *matrices))):
        letters = letters[0].upper() + letters[1:]  # what a step took in has a gradient wherever anything has
    kernel = kernel_for(step, key, current, letters, len(states), name, {"cpu": RecurrentKernel})
    if isinstance(kernel, Untraceable):
        return None
    output, *lasts = kernel(current, first, weight, bias, leaves)
    return [output, output[-1], *lasts]

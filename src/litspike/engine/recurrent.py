"""Runs a step of a recurrent layer over time: its input includes, weighted, its output of the step before."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from litspike.engine.call import kernel_for
from litspike.engine.cpu.recurrent import RecurrentKernel
from litspike.engine.events.spikes import plain
from litspike.engine.inputs import HALF, Feedback, Inputs, Real
from litspike.engine.ir.surroundings import Untraceable
from litspike.engine.modes import ordinary
from litspike.engine.reference import Step


def run_recurrent(
    step: Step,
    key: Hashable,
    current: Tensor,
    feedback: Feedback,
    states: Sequence[Real],
    constants: Sequence[Real],
    name: str,
) -> Sequence[Tensor] | None:
    """Output [T, B, *], last output and last states of ``y[t], *u = step(x[t] + weight · y[t − 1] + bias, *u, *c)``.

    The sum over y[t − 1] is taken over what is not zero, in the order of the neurons, beginning with the bias, and the
    input is added to it. A dense product sums in another order: the last bit of a current may differ from the
    reference's.

    Args:
        step: as for :func:`litspike.engine.run`, as are key, current, states, constants and name.
        feedback: first output, weight and bias.

    Returns:
        None where the reference has to run: on another device, in a graph, under a transform or mode of torch, or for
        a step that can't be fused.
    """
    current, first, weight, bias = plain(current), plain(feedback.first), feedback.weight, feedback.bias
    if current.dtype in HALF:
        single = Feedback(first.float(), weight.float(), None if bias is None else bias.float())
        found = run_recurrent(step, key, current.float(), single, states, constants, name)
        if found is None or torch.is_autocast_enabled("cpu"):
            return found
        return [found[0].to(current.dtype), *found[1:]]
    inputs = Inputs.checked(name, current, states, constants)
    matrices = [first, weight, *([] if bias is None else [bias])]
    alike = all(tensor.dtype is current.dtype and tensor.device.type == "cpu" for tensor in matrices)
    if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu") or not alike:
        return None
    if current.device.type != "cpu" or not ordinary([current, *matrices, *inputs.values]):
        return None
    learns = any(leaf.wants_gradient for leaf in inputs.leaves) or any(tensor.requires_grad for tensor in matrices)
    if torch.is_grad_enabled() and learns:  # the total input has a gradient wherever anything has
        inputs = inputs._replace(leaves=(inputs.leaves[0]._replace(wants_gradient=True), *inputs.leaves[1:]))
    kernel = kernel_for(step, key, inputs, name, {"cpu": RecurrentKernel})
    if isinstance(kernel, Untraceable):
        return None
    output, *lasts = kernel(current, Feedback(first, weight, bias), inputs.values)
    return [output, output[-1], *lasts]

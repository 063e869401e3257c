"""Runs a step of a recurrent layer over time: its input includes, weighted, its output of the step before."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from litspike.engine.call import kernel_for
from litspike.engine.cpu.recurrent import CpuRecurrentKernel
from litspike.engine.events.spikes import plain
from litspike.engine.feedback import RecurrentKernel
from litspike.engine.gpu.recurrent import GpuRecurrentKernel
from litspike.engine.inputs import HALF, Feedback, Inputs, Real
from litspike.engine.ir.surroundings import Untraceable
from litspike.engine.modes import ordinary
from litspike.engine.reference import Step

KERNELS: dict[str, type[RecurrentKernel]] = {"cpu": CpuRecurrentKernel, "cuda": GpuRecurrentKernel}
"""The class of kernels for each type of device."""


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
        None where the reference has to run: on another device, in a graph, under a transform or mode of torch, for more
        neurons than a kernel takes, or for a step that can't be fused.
    """
    current, (first, weight, bias) = plain(current), feedback._replace(first=plain(feedback.first))
    output = current.dtype
    if output in HALF:
        first, weight, bias = first.float(), weight.float(), None if bias is None else bias.float()
        output = torch.float32 if torch.is_autocast_enabled(current.device.type) else output
    inputs = Inputs.checked(name, current, states, constants)
    matrices = [first, weight, *([] if bias is None else [bias])]
    alike = all(tensor.dtype is inputs.dtype and tensor.device == current.device for tensor in matrices)
    if torch.compiler.is_compiling() or not alike:
        return None
    make = KERNELS.get(current.device.type)
    if make is None or not ordinary([current, *matrices, *inputs.values]):
        return None
    if make.largest is not None and len(weight) > make.largest:
        return None
    learns = any(leaf.wants_gradient for leaf in inputs.leaves) or any(tensor.requires_grad for tensor in matrices)
    if torch.is_grad_enabled() and learns:  # the total input has a gradient wherever anything has
        inputs = inputs._replace(leaves=(inputs.leaves[0]._replace(wants_gradient=True), *inputs.leaves[1:]))
    kernel = kernel_for(step, key, inputs, name, KERNELS)
    if isinstance(kernel, Untraceable):
        return None
    stored = output
    if not kernel.stores(current.dtype):
        current, stored = current.float(), torch.float32
    found, *lasts = kernel(current, Feedback(first, weight, bias), inputs.values, stored)
    return [found.to(output), *lasts]

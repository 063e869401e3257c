"""Runs a step of a recurrent layer over time: its input includes, weighted, its output of the step before."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from litspike.engine import recurrent_operator
from litspike.engine.call import kernel_for
from litspike.engine.events.spikes import plain
from litspike.engine.inputs import HALF, Feedback, Inputs, Real
from litspike.engine.ir.surroundings import Untraceable
from litspike.engine.modes import ordinary
from litspike.engine.recurrent_operator import KERNELS
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
        None where the reference has to run: on another device, under a transform or mode of torch, for more neurons
        than a kernel takes, or for a step that can't be fused. A graph, compiled or exported, holds one operation.
    """
    current, (first, weight, bias) = plain(current), feedback._replace(first=plain(feedback.first))
    output = current.dtype
    if output in HALF:
        first, weight, bias = first.float(), weight.float(), None if bias is None else bias.float()
        output = torch.float32 if torch.is_autocast_enabled(current.device.type) else output
    inputs = Inputs.checked(name, current, states, constants)
    matrices = [first, weight, *([] if bias is None else [bias])]
    alike = all(tensor.dtype is inputs.dtype and tensor.device == current.device for tensor in matrices)
    make = KERNELS.get(current.device.type)
    if make is None or not alike or (make.largest is not None and len(weight) > make.largest):
        return None
    graph = torch.compiler.is_compiling()
    if torch.onnx.is_in_onnx_export() if graph else not ordinary([current, *matrices, *inputs.values]):
        return None
    learns = any(leaf.wants_gradient for leaf in inputs.leaves) or any(tensor.requires_grad for tensor in matrices)
    if torch.is_grad_enabled() and learns:  # the total input has a gradient wherever anything has
        inputs = inputs._replace(leaves=(inputs.leaves[0]._replace(wants_gradient=True), *inputs.leaves[1:]))
    if graph:
        results = recurrent_operator.in_graph(key, inputs._replace(current=current.to(inputs.dtype)), matrices)
        return None if results is None else [results[0].to(output), *results[1:]]
    kernel = kernel_for(step, key, inputs, name, KERNELS)
    if isinstance(kernel, Untraceable):
        return None
    stored = output
    if not kernel.stores(current.dtype):
        current, stored = current.float(), torch.float32
    found, *lasts = kernel(current, Feedback(first, weight, bias), inputs.values, stored)
    return [found.to(output), *lasts]

"""Which setting to change where a network doesn't suit the samples or their labels."""

from __future__ import annotations

import math

from torch import Tensor, nn

from litspike.networks import ConvNet, Perceptron, SEWResNet
from litspike.networks.suits import Unsuited


def remedy(network: nn.Module, error: Unsuited) -> str:
    """The setting to change where a network of litspike's gets samples that it isn't made for."""
    if error.dtypes:
        return ": give samples of that type, or set trainer.precision to 64-true for float64"
    if not error.first or error.shape is None:
        return ""
    shape = list(error.shape)
    if isinstance(network, (ConvNet, SEWResNet)):
        return f": set model.network.input_shape to {shape}" if len(shape) in (2, 3) else f": the samples are {shape}"
    if not isinstance(network, Perceptron):
        return ""
    if len(shape) == 1:
        return f": set the first of model.network.sizes to {shape[0]}"
    if len(shape) == 2:
        return f": the samples are sequences {shape}, which the encoder litspike.coding.TimeFirst cuts into steps"
    return f": the samples are images {shape} of {math.prod(shape)} numbers: take litspike.networks.ConvNet"


def outputs_remedy(network: nn.Module, values: Tensor, labels: Tensor) -> str:
    """The setting to change where the number of outputs is not that of the classes or targets."""
    if values.dim() == 3 and labels.dim() == 1:
        return "; a sample that is a sequence goes step by step through the encoder litspike.coding.TimeFirst"
    if values.dim() != 2 or labels.dim() > 2:
        return ""
    needed = labels.shape[1] if labels.dim() == 2 else int(labels.max()) + 1 if len(labels) else 0
    if labels.dim() == 1 and needed <= 2:
        one = "; set the last of the network's sizes to 1, or model.loss to litspike.tasks.CrossEntropy"
        return "" if values.shape[1] == 1 else one
    if values.shape[1] == 1 and labels.dim() == 1:
        return f"; set the last of the network's sizes to {needed}, and model.loss to litspike.tasks.CrossEntropy"
    known = isinstance(network, (ConvNet, Perceptron, SEWResNet))
    setting = "model.network.outputs" if isinstance(network, SEWResNet) else "the last of model.network.sizes"
    return f"; set {setting} to {needed}" if known and values.shape[1] != needed else ""

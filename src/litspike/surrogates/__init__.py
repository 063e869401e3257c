"""Surrogate gradients: what backpropagation uses as the derivative of a spike.

A spike is a step function of the distance ``v`` of the membrane potential from its threshold, with a derivative
that is zero wherever it exists. A surrogate is a small pure function of ``v`` used instead of it, in the backward
pass alone (Neftci, Mostafa and Zenke 2019, "Surrogate gradient learning in spiking neural networks").
"""

from litspike.surrogates.base import Surrogate
from litspike.surrogates.functions import (
    ArcTan,
    FastSigmoid,
    Gaussian,
    Rectangle,
    Sigmoid,
    StraightThrough,
    Triangle,
    ZeroGradient,
)
from litspike.surrogates.spike import spike

__all__ = [
    "ArcTan",
    "FastSigmoid",
    "Gaussian",
    "Rectangle",
    "Sigmoid",
    "StraightThrough",
    "Surrogate",
    "Triangle",
    "ZeroGradient",
    "spike",
]

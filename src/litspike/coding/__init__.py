"""Encoders into current or spikes, and readouts out of them."""

from litspike.coding.encoders import ConstantCurrent
from litspike.coding.readouts import MeanOverTime

__all__ = ["ConstantCurrent", "MeanOverTime"]

"""Data modules, one a file."""

from litspike.data.half_plane import HalfPlane
from litspike.data.tensors import TensorDataModule

__all__ = ["HalfPlane", "TensorDataModule"]

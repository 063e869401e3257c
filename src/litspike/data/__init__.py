"""Data modules, one a file."""

from litspike.data.digits import Digits
from litspike.data.half_plane import HalfPlane
from litspike.data.mackey_glass import MackeyGlass
from litspike.data.manifolds import Manifolds
from litspike.data.tensors import TensorDataModule

__all__ = ["Digits", "HalfPlane", "MackeyGlass", "Manifolds", "TensorDataModule"]

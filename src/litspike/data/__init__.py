"""Data modules, one a file."""

from litspike.data.events import CIFAR10DVS, NMNIST, SHD, SSC, DVSGesture, EventDataModule
from litspike.data.half_plane import HalfPlane
from litspike.data.tensors import TensorDataModule

__all__ = ["CIFAR10DVS", "NMNIST", "SHD", "SSC", "DVSGesture", "EventDataModule", "HalfPlane", "TensorDataModule"]

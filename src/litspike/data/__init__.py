"""Data modules, one a file."""

from litspike.data.arrays import Arrays
from litspike.data.delayed_xor import DelayedXOR
from litspike.data.digits import Digits
from litspike.data.distortion import Distortion
from litspike.data.events import CIFAR10DVS, NMNIST, SHD, SSC, DVSGesture, EventDataModule
from litspike.data.half_plane import HalfPlane
from litspike.data.mackey_glass import MackeyGlass
from litspike.data.mackey_glass_forecast import MackeyGlassForecast
from litspike.data.manifolds import Manifolds
from litspike.data.store_recall import StoreRecall
from litspike.data.tensors import TensorDataModule
from litspike.data.yin_yang import YinYang

__all__ = [
    "CIFAR10DVS",
    "NMNIST",
    "SHD",
    "SSC",
    "Arrays",
    "DVSGesture",
    "DelayedXOR",
    "Digits",
    "Distortion",
    "EventDataModule",
    "HalfPlane",
    "MackeyGlass",
    "MackeyGlassForecast",
    "Manifolds",
    "StoreRecall",
    "TensorDataModule",
    "YinYang",
]

"""Event data through Tonic: data modules that bin events into steps, one a file."""

from litspike.data.events.cifar10_dvs import CIFAR10DVS
from litspike.data.events.dvs_gesture import DVSGesture
from litspike.data.events.module import EventDataModule
from litspike.data.events.nmnist import NMNIST
from litspike.data.events.shd import SHD
from litspike.data.events.ssc import SSC

__all__ = ["CIFAR10DVS", "NMNIST", "SHD", "SSC", "DVSGesture", "EventDataModule"]

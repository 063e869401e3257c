"""Networks: layers without state run on T·B, layers of neurons over T."""

from litspike.networks.calibrate import Calibrated, calibrate, firing_rates
from litspike.networks.converted import Converted
from litspike.networks.convolutional import ConvNet
from litspike.networks.delay import AxonalDelay
from litspike.networks.dropout import TimeDropout
from litspike.networks.nir.network import FromNIR
from litspike.networks.perceptron import Perceptron
from litspike.networks.pieces import run_network
from litspike.networks.random_kernels import RandomKernels
from litspike.networks.rectifier import ReLU
from litspike.networks.recurrent import RecurrentNetwork
from litspike.networks.residual import SEWBlock, SEWResNet
from litspike.networks.sequence import Pass, SequenceLayer, SpikingNetwork, SpikingSequential, StatefulLayer
from litspike.networks.stream import Stream

__all__ = [
    "AxonalDelay",
    "Calibrated",
    "ConvNet",
    "Converted",
    "FromNIR",
    "Pass",
    "Perceptron",
    "RandomKernels",
    "ReLU",
    "RecurrentNetwork",
    "SEWBlock",
    "SEWResNet",
    "SequenceLayer",
    "SpikingNetwork",
    "SpikingSequential",
    "StatefulLayer",
    "Stream",
    "TimeDropout",
    "calibrate",
    "firing_rates",
    "run_network",
]

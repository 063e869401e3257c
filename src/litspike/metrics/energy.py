"""The energy of a network's arithmetic and of its memory, with spikes and without."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from litspike.arguments import check_type
from litspike.settings import SettingError, integer, number

SOURCE = "Horowitz 2014, Computing's energy problem (and what we can do about it), ISSCC; 45 nm, 0.9 V"
"""Where the constants of :class:`EnergyModel` come from."""

NOT_COUNTED = "the neurons' own updates, biases, batch norm, pooling, encoder and readout"
"""What :class:`EnergyModel` leaves out."""


class Layer(NamedTuple):
    """A layer of spiking neurons, as a test has found it."""

    neurons: int
    states: int
    """Numbers that each neuron keeps from step to step."""
    rate: float
    """Spikes per neuron and step."""
    readers: int = 1
    """Connections that read its spikes: 2 where it is connected to itself."""


class Connection(NamedTuple):
    """A connection with its operations for one sample, as :class:`~litspike.metrics.Operations` counts them."""

    weights: int
    dense: float
    dense_of_one_step: float
    macs: float
    acs: float
    of_spikes: bool
    """Whether its input comes from neurons, so that its operations are fewer where these fire less."""


class Energy(NamedTuple):
    """Energy of one sample, in nanojoules."""

    arithmetic: float
    weights: float
    states: float
    """Of a network without spikes: none."""
    events: float
    """Of a network without spikes: its activations."""

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self)


@dataclass(frozen=True)
class EnergyModel:
    r"""What an operation and an access to memory cost, and what a network's pass costs by it.

    Equation, in picojoules, for a memory of size S with the least level that holds it, whose access of 64 bits costs
    e(S), so that b bits cost ``m(b, S) = b · e(S) / 64``::

        arithmetic = (multiply + add) · MACs + add · ACs
        weights    = m(b_w, W) · (MACs + ACs)                 each operation reads its weight
        states     = m(2 b_s, Z) · (Σ T N (S + 1) + ACs)      N neurons read and write S states and a current in each
                                                              of T steps; an event reads and writes the current
        events     = m(b_w, V) · MACs + Σ m(⌈log₂ N⌉, V) · T N r (1 + readers)
                                                              a multiplication reads its value; a spike is written
                                                              as its neuron's index, and read by each connection

    W and Z hold all weights, and all states and currents; V holds what all neurons may send in a step.

    Without spikes, of a network that has the same connections, rectifiers in place of neurons, and b_a bits of an
    activation, all its dense operations are multiply–accumulates, of one step where the sample stands still, of all
    steps where it is a sequence::

        arithmetic = (multiply + add) · dense
        weights    = m(b_w, W) · dense
        events     = m(b_a, V) · (dense after the first layer + Σ N) + m(b_w, V) · (dense before it)

    with ``b_a = ⌈log₂(T + 1)⌉``, what T steps of a spiking neuron can say, for a sample that stands still, and b_w for
    a sequence. Sums stay in a register there.

    The defaults are for float32, in which networks are trained. Of 8-bit weights with sums of 32 bits they are 0.2 for
    a product and 0.1 for a sum.

    Args:
        weight_bits: b_w, of a weight and of a value that isn't a spike.
        state_bits: b_s, of a state and of a current.
        multiply_pj: of a product.
        add_pj: of a sum.
        memory_kb: sizes of the levels of memory, rising, in 1024 bytes.
        memory_pj: what an access of 64 bits costs in each of them.
        dram_pj: what it costs beyond them: in a memory outside the chip, the least that is published.

    Raises:
        SettingError: if a number is outside its bounds, or the levels don't fit together.

    Source: Horowitz 2014, "Computing's energy problem (and what we can do about it)", for the constants; Lemaire et al.
    2022, "An analytical estimation of spiking neural networks energy efficiency", for what an event reads and writes;
    Yan, Bai and Wong 2024, "Reconsidering the energy efficiency of spiking neural networks", arXiv 2409.08290, for the
    bits of an activation.

    Example:
        >>> from litspike.metrics import EnergyModel
        >>> round(EnergyModel().arithmetic(macs=20, acs=66), 4)
        0.1514
    """

    weight_bits: int = 32
    state_bits: int = 32
    multiply_pj: float = 3.7
    add_pj: float = 0.9
    memory_kb: tuple[float, ...] = (8, 32, 1024)
    memory_pj: tuple[float, ...] = (10, 20, 100)
    dram_pj: float = 1300

    def __post_init__(self) -> None:
        integer("weight_bits", self.weight_bits, most=64)
        integer("state_bits", self.state_bits, most=64)
        for name in ("multiply_pj", "add_pj", "dram_pj"):
            number(name, getattr(self, name), "[0, inf)")
        for name, interval in (("memory_kb", "(0, inf)"), ("memory_pj", "[0, inf)")):
            check_type(name, getattr(self, name), tuple[float, ...])
            for index, value in enumerate(getattr(self, name)):
                number(f"{name}[{index}]", value, interval)
        if list(self.memory_kb) != sorted(set(self.memory_kb)):
            raise SettingError("memory_kb", self.memory_kb, "doesn't rise")
        if len(self.memory_pj) != len(self.memory_kb):
            raise SettingError("memory_pj", self.memory_pj, f"needs {len(self.memory_kb)} numbers, as memory_kb")

    def arithmetic(self, macs: float, acs: float) -> float:
        """Energy of multiply–accumulates and of accumulates alone, in nanojoules."""
        return ((self.multiply_pj + self.add_pj) * macs + self.add_pj * acs) / 1000

    def access(self, bits: float, size: float) -> float:
        """Nanojoules to read or write some bits of a memory of ``size`` bits."""
        levels = zip(self.memory_kb, self.memory_pj, strict=True)
        cost = next((pj for kb, pj in levels if size <= kb * 8192), self.dram_pj)
        return bits * cost / 64 / 1000

    def with_spikes(self, connections: Sequence[Connection], layers: Sequence[Layer], steps: int) -> Energy:
        """Energy of one sample of a spiking network, of ``steps`` time steps."""
        weight, numbers = self._weight(connections), sum(one.neurons * (one.states + 1) for one in layers)
        state = self.access(2 * self.state_bits, numbers * self.state_bits)
        size = sum(one.neurons * index_bits(one.neurons) for one in layers)
        macs, acs = (sum(getattr(one, kind) for one in connections) for kind in ("macs", "acs"))
        spikes = sum(
            self.access(index_bits(one.neurons), size) * one.neurons * one.rate * (1 + one.readers) for one in layers
        )
        return Energy(
            self.arithmetic(macs, acs),
            weight * (macs + acs),
            state * (steps * numbers + acs),
            self._value(layers, self.weight_bits) * macs + steps * spikes,
        )

    def without_spikes(
        self, connections: Sequence[Connection], layers: Sequence[Layer], steps: int, sequence: bool
    ) -> Energy:
        """Energy of one sample of the same network without spikes, its activations in as many bits as T steps can say.

        Args:
            connections: those of the spiking network.
            layers: its layers, whose neurons become rectifiers.
            steps: time steps T.
            sequence: whether the sample is a sequence, all of whose steps have to be computed.
        """
        weight, bits = self._weight(connections), self.weight_bits if sequence else activation_bits(steps)
        neurons = sum(one.neurons for one in layers)
        given, value = self._value(layers, self.weight_bits), self._value(layers, bits)
        first, later = (
            sum(one.dense if sequence else one.dense_of_one_step for one in connections if one.of_spikes is of_spikes)
            for of_spikes in (False, True)
        )
        written = neurons * (steps if sequence else 1)
        return Energy(
            self.arithmetic(first + later, 0), weight * (first + later), 0.0, value * (later + written) + given * first
        )

    def spikes_win_below(
        self, connections: Sequence[Connection], layers: Sequence[Layer], steps: int, sequence: bool
    ) -> float | Literal["never", "always"] | None:
        r"""The firing rate below which the network with spikes takes less energy than the one without.

        Spikes, and the operations that they cause, are taken to be as many times more or fewer in all layers at once.
        Equation, for the energy E₀ that stays where no neuron fires, and the mean rate r of all neurons::

            E₀ + (E − E₀) · r* / r = E without spikes

        Args:
            connections: see :meth:`without_spikes`.
            layers: likewise.
            steps: likewise.
            sequence: likewise.

        Returns:
            r*, in spikes per neuron and step; ``never`` where a network whose neurons are silent takes as much already,
            ``always`` where one takes less at a spike in every step; None where no neuron fired.
        """
        rate = sum(one.rate * one.neurons for one in layers) / max(sum(one.neurons for one in layers), 1)
        silent = [one._replace(macs=0.0, acs=0.0) if one.of_spikes else one for one in connections]
        least = self.with_spikes(silent, [one._replace(rate=0.0) for one in layers], steps).total
        caused = self.with_spikes(connections, layers, steps).total - least
        left = self.without_spikes(connections, layers, steps, sequence).total - least
        if left <= 0:
            return "never"
        if rate == 0 or caused <= 0:
            return None
        found = rate * left / caused
        return found if found < 1 else "always"

    def _weight(self, connections: Sequence[Connection]) -> float:
        """Energy to read a weight."""
        return self.access(self.weight_bits, sum(one.weights for one in connections) * self.weight_bits)

    def _value(self, layers: Sequence[Layer], bits: int) -> float:
        """Energy to read or write a number of some bits where all neurons have one."""
        return self.access(bits, sum(one.neurons for one in layers) * bits)


def index_bits(neurons: int) -> int:
    """Bits that name one of so many neurons."""
    return max(math.ceil(math.log2(neurons)), 1)


def activation_bits(steps: int) -> int:
    """Bits that hold a number of spikes in so many steps."""
    return math.ceil(math.log2(steps + 1))

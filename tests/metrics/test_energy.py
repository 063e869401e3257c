"""The energy of arithmetic and memory, against sums made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from litspike.metrics import EnergyModel
from litspike.metrics.energy import Connection, Layer, activation_bits, index_bits
from litspike.settings import SettingError

PLAIN: dict[str, Any] = {"memory_kb": (1,), "memory_pj": (64,), "dram_pj": 640}
"""1 pJ a bit up to 8192 bits, 10 pJ a bit beyond."""
INTEGERS = EnergyModel(weight_bits=8, state_bits=16, multiply_pj=0.2, add_pj=0.1, **PLAIN)
STEPS = 7
LINEAR = [Connection(12, 12, 12, 12, 0, of_spikes=False), Connection(8, 56, 8, 0, 14, of_spikes=True)]
"""Linear(3, 4) of a constant current, Linear(4, 2) of spikes: 7 spikes, each of which meets 2 weights."""
NEURONS = [Layer(4, states=1, rate=0.25)]


def test_a_perceptrons_energy_is_the_sum_by_hand():
    found = INTEGERS.with_spikes(LINEAR, NEURONS, STEPS)
    assert found.arithmetic == pytest.approx((12 * 0.3 + 14 * 0.1) / 1000)
    assert found.weights == pytest.approx((12 + 14) * 8 / 1000)
    assert found.states == pytest.approx((7 * 4 * 2 * 32 + 14 * 32) / 1000)  # potential and current, read and written
    assert found.events == pytest.approx((12 * 8 + 7 * 2 * 2) / 1000)  # 7 spikes of 2 bits, written and read once
    assert found.total == pytest.approx((3.6 + 1.4 + 208 + 1792 + 448 + 96 + 28) / 1000)


def test_without_spikes_all_products_are_computed_once_with_activations_of_few_bits():
    found = INTEGERS.without_spikes(LINEAR, NEURONS, STEPS, sequence=False)
    assert found.arithmetic == pytest.approx(20 * 0.3 / 1000)
    assert found.weights == pytest.approx(20 * 8 / 1000)
    assert found.states == 0
    assert found.events == pytest.approx((12 * 8 + 8 * 3 + 4 * 3) / 1000)  # 7 steps say 0 to 7, which is 3 bits


def test_a_convolution_reads_a_weight_for_each_place():
    # Conv2d(1, 2, 3) of a 5 × 5 image gives 2 × 3 × 3 neurons; Linear(18, 10) of their 9 spikes in 2 steps
    connections = [Connection(18, 162, 162, 150, 0, of_spikes=False), Connection(180, 360, 180, 0, 90, of_spikes=True)]
    layers = [Layer(18, states=1, rate=0.25)]
    found = INTEGERS.with_spikes(connections, layers, 2)
    assert found.arithmetic == pytest.approx((150 * 0.3 + 90 * 0.1) / 1000)
    assert found.weights == pytest.approx(240 * 8 / 1000)
    assert found.states == pytest.approx((2 * 18 * 2 + 90) * 32 / 1000)
    assert found.events == pytest.approx((150 * 8 + 9 * 2 * 5) / 1000)  # an index of 18 neurons has 5 bits
    plain = INTEGERS.without_spikes(connections, layers, 2, sequence=False)
    assert plain.total == pytest.approx((342 * 0.3 + 342 * 8 + 162 * 8 + (180 + 18) * 2) / 1000)


def test_a_recurrent_layer_reads_its_spikes_twice_and_a_sequence_needs_every_step():
    # Linear(2, 4) of values at 5 steps, Linear(4, 4) inside the layer, Linear(4, 1): 10 spikes in 5 steps
    connections = [
        Connection(8, 40, 8, 40, 0, of_spikes=False),
        Connection(16, 80, 16, 0, 40, of_spikes=True),
        Connection(4, 20, 4, 0, 10, of_spikes=True),
    ]
    layers = [Layer(4, states=2, rate=0.5, readers=2)]
    found = INTEGERS.with_spikes(connections, layers, 5)
    assert found.states == pytest.approx((5 * 4 * 3 + 50) * 32 / 1000)
    assert found.events == pytest.approx((40 * 8 + 10 * 3 * 2) / 1000)
    plain = INTEGERS.without_spikes(connections, layers, 5, sequence=True)
    assert plain.arithmetic == pytest.approx(140 * 0.3 / 1000)
    assert plain.weights == pytest.approx(140 * 8 / 1000)
    assert plain.events == pytest.approx((140 * 8 + 5 * 4 * 8) / 1000)


def test_what_fits_into_no_level_lies_outside_the_chip():
    assert [EnergyModel().access(64, 8192 * kb) * 1000 for kb in (8, 8.1, 32, 1024, 1025)] == pytest.approx(
        [10, 20, 20, 100, 1300]
    )
    assert EnergyModel().access(16, 1) * 1000 == pytest.approx(2.5)


def at_rate(rate: float, connections: list[Connection], layers: list[Layer], steps: int) -> float:
    """The energy of the same network whose neurons fire at another rate, all as many times as often."""
    times = rate / (sum(one.rate * one.neurons for one in layers) / sum(one.neurons for one in layers))
    scaled = [one._replace(acs=times * one.acs, macs=times * one.macs) if one.of_spikes else one for one in connections]
    faster = [one._replace(rate=times * one.rate) for one in layers]
    return INTEGERS.with_spikes(scaled, faster, steps).total


def test_at_the_rate_below_which_spikes_win_both_take_the_same():
    connections = [Connection(12, 12, 12, 12, 0, of_spikes=False), Connection(4000, 8000, 4000, 0, 500, of_spikes=True)]
    layers = [Layer(40, states=1, rate=0.05), Layer(10, states=2, rate=0.15)]
    below = INTEGERS.spikes_win_below(connections, layers, 2, sequence=False)
    assert isinstance(below, float)
    without = INTEGERS.without_spikes(connections, layers, 2, sequence=False).total
    assert at_rate(below, connections, layers, 2) == pytest.approx(without)
    assert at_rate(0.9 * below, connections, layers, 2) < without < at_rate(1.1 * below, connections, layers, 2)


def test_spikes_never_win_where_the_states_alone_take_more():
    assert INTEGERS.spikes_win_below(LINEAR, NEURONS, STEPS, sequence=False) == "never"


def test_spikes_always_win_where_one_in_every_step_takes_less():
    cheap = EnergyModel(state_bits=1, multiply_pj=1000, **PLAIN)
    connections = [Connection(4, 80, 4, 0, 8, of_spikes=True)]
    assert cheap.spikes_win_below(connections, [Layer(4, 1, 0.1)], 20, sequence=True) == "always"


def test_of_silent_neurons_no_rate_is_known():
    silent = [Connection(4000, 4000, 4000, 0, 0, of_spikes=True)]
    assert INTEGERS.spikes_win_below(silent, [Layer(40, 1, 0.0)], 1, sequence=False) is None


def test_bits_of_an_index_and_of_a_number_of_spikes():
    assert [index_bits(neurons) for neurons in (1, 2, 3, 1024, 1025)] == [1, 1, 2, 10, 11]
    assert [activation_bits(steps) for steps in (1, 3, 4, 15, 16)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight_bits": 0}, "weight_bits: 0 is less than 1"),
        ({"add_pj": -1}, r"add_pj: -1 is outside \[0, inf\)"),
        ({"memory_kb": (8, 8, 9)}, r"memory_kb: \(8, 8, 9\) doesn't rise"),
        ({"memory_kb": (8,)}, r"memory_pj: \(10, 20, 100\) needs 1 numbers, as memory_kb"),
        ({"memory_pj": (8, float("nan"), 9)}, r"memory_pj\[1\]: nan is outside"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, Any], message: str):
    with pytest.raises(SettingError, match=message):
        EnergyModel(**settings)

"""The firing of a layer, counted by hand."""

import pytest
import torch

from litspike.metrics import Firing
from litspike.settings import SettingError, UserError

SPIKES = torch.tensor(  # [3 steps, 2 samples, 4 neurons]
    [
        [[1, 0, 0, 1], [1, 0, 0, 0]],
        [[1, 0, 1, 0], [1, 0, 0, 0]],
        [[1, 0, 0, 0], [1, 0, 0, 1]],
    ]
).float()


def test_rate_and_shares_over_several_batches():
    firing = Firing(4)
    for sample in range(2):
        firing.update(SPIKES[:, sample : sample + 1])
    found = {name: float(value) for name, value in firing.compute().items()}
    assert found == pytest.approx({"rate": 9 / 24, "silent": 0.25, "saturated": 0.25})
    firing.reset()
    firing.update(torch.zeros(3, 2, 2, 2))
    assert float(firing.compute()["silent"]) == 1


def test_a_neuron_that_fires_once_in_an_epoch_is_not_silent_and_one_that_misses_once_not_saturated():
    firing = Firing(4)
    firing.update(torch.ones(3, 1, 4))
    firing.update(SPIKES)
    assert {name: float(value) for name, value in firing.compute().items() if name != "rate"} == {
        "silent": 0.0,
        "saturated": 0.25,
    }


def test_nothing_seen_is_not_a_number():
    assert all(value.isnan() for value in Firing(3).compute().values())


def test_another_number_of_neurons_is_refused():
    with pytest.raises(UserError, match=r"^Firing takes spikes \[T, B, \*\] of 3 neurons, not \[3, 2, 4\]$"):
        Firing(3).update(SPIKES)
    with pytest.raises(SettingError, match=r"^neurons: 0 is less than 1$"):
        Firing(0)

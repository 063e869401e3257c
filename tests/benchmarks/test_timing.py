"""What resonating neurons and delays are for: tasks that leaky neurons of the same number don't learn."""

from __future__ import annotations

import pytest
import torch

from benchmarks.timing import accuracy, frequency, lag


def test_both_cycles_have_the_same_amplitudes_and_both_lags_the_same_spikes():
    x, label = frequency(4000, torch.Generator().manual_seed(0))
    largest = x.amax(0)[:, 0]
    torch.testing.assert_close(largest[label == 0].mean(), largest[label == 1].mean(), rtol=0.03, atol=0)
    x, label = lag(4000, torch.Generator().manual_seed(0))
    assert torch.equal(x.sum(0), torch.ones(4000, 16))
    time = x.argmax(0)
    assert torch.equal(time[:, 8:] - time[:, :8], torch.where(label == 0, 4, 10)[:, None].expand(4000, 8))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("plain", "better", "steps"),
    [
        ("frequency, LIF", "frequency, SE-adLIF", 80),
        ("frequency, LIF", "frequency, BRF", 40),
        ("lag, LIF", "lag, LIF and delays", 150),
    ],
)
def test_resonance_and_delays_learn_what_leaky_neurons_do_not(plain: str, better: str, steps: int):
    torch.set_num_threads(1)
    assert accuracy(better, steps, 0) > 0.9
    assert accuracy(plain, steps, 0) < 0.8

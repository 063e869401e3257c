"""What resonating neurons and delays are for: tasks that leaky neurons of the same number don't learn."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.timing import EulerAdaptiveLIF, accuracy, frequency, lag
from litspike import SymplecticAdaptiveLIF


def test_both_cycles_have_the_same_amplitudes_and_both_lags_the_same_spikes():
    x, label = frequency(4000, torch.Generator().manual_seed(0))
    largest = x.amax(0)[:, 0]
    torch.testing.assert_close(largest[label == 0].mean(), largest[label == 1].mean(), rtol=0.03, atol=0)
    x, label = lag(4000, torch.Generator().manual_seed(0))
    assert torch.equal(x.sum(0), torch.ones(4000, 16))
    time = x.argmax(0)
    assert torch.equal(time[:, 8:] - time[:, :8], torch.where(label == 0, 4, 10)[:, None].expand(4000, 8))


def test_by_eulers_method_the_adaptation_sees_the_potential_of_the_step_before():
    settings = {"tau": 10.0, "adaptation_tau": 50.0, "coupling": 30.0, "threshold": 100.0}
    taken, follow = 1 - math.exp(-1 / 10), 1 - math.exp(-1 / 50)
    current = torch.tensor([1.0]).view(1, 1, 1)
    state = EulerAdaptiveLIF(**settings)(current)[1]
    assert (state.u.item(), state.w.item()) == (pytest.approx(taken), 0.0)
    assert SymplecticAdaptiveLIF(**settings)(current)[1].w.item() == pytest.approx(30 * follow * taken)
    assert EulerAdaptiveLIF(**settings)(current, state)[1].w.item() == pytest.approx(30 * follow * taken)


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

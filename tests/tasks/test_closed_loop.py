"""A regression that predicts from its own output."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from litspike import EveryStep, LastStep, LeakyIntegrator, SpikingSequential, TimeFirst
from litspike.settings import SettingError, UserError
from litspike.tasks import Regression


def halving(readout: nn.Module, **settings: object) -> Regression:
    """Predicts half of the running sum of what it has seen, by a network whose state is that sum."""
    network = SpikingSequential([LeakyIntegrator(decay=1.0), nn.Linear(1, 1, bias=False)])
    nn.init.constant_(network.layers[1].weight, 0.5)
    return Regression(network, TimeFirst(), readout, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("readout", [LastStep(), EveryStep()])
def test_each_prediction_is_the_next_steps_input_and_the_state_goes_on(readout: nn.Module):
    x = torch.tensor([[[1.0], [3.0]], [[0.5], [1.5]]])
    with torch.no_grad():
        found = halving(readout).forecast(x, 4)
    for sample, start in zip(found[..., 0].tolist(), (4.0, 2.0), strict=True):
        total, expected = start, []
        for _ in range(4):
            expected.append(total / 2)
            total += expected[-1]
        assert sample == pytest.approx(expected)


def test_predictions_are_fed_back_in_the_unit_of_the_series():
    task = halving(LastStep())
    task.targets.measure([torch.tensor([[2.0], [6.0]])])  # mean 4, deviation 2
    with torch.no_grad():
        found = task.forecast(torch.tensor([[[1.0], [3.0]]]), 2)[0, :, 0]
    first = 4 + 2 * (4 / 2)
    assert found.tolist() == pytest.approx([first, 4 + 2 * (4 + first) / 2])


def test_a_test_measures_the_forecast_and_training_and_validation_the_next_value():
    task = halving(LastStep(), closed_loop=3)
    x, y = torch.ones(2, 4, 1), torch.zeros(2, 3, 1)
    with torch.no_grad():
        values, outputs = task._answer_in("test", x, y, None)
        assert torch.equal(values, task.forecast(x, 3))
        assert outputs.shape == (3, 2, 1)
        for stage in ("train", "val"):
            assert task._answer_in(stage, x, torch.zeros(2, 1), None)[0].tolist() == [[2.0], [2.0]]
        assert task.predict_step((x, torch.empty(2, 0)), 0)["value"].shape == (2, 3, 1)


def test_what_has_no_closed_loop_is_refused():
    with pytest.raises(SettingError, match=r"^closed_loop: 0 is less than 1"):
        halving(LastStep(), closed_loop=0)
    task = halving(LastStep(), closed_loop=3)
    batch = torch.ones(2, 4, 1), torch.zeros(2, 3, 1), torch.tensor([4, 2])
    with pytest.raises(UserError, match=r"^model\.closed_loop: sequences of different lengths"):
        task._answer_in("test", *batch)
    with pytest.raises(UserError, match=r"^model\.closed_loop: 3 steps are predicted; the test targets are \[4, 1\]"):
        task.of_one_pass("test", torch.ones(2, 4, 1))
    task.network = SpikingSequential([nn.Linear(2, 1)])
    with pytest.raises(UserError, match=r"^model\.closed_loop: the network predicts \[1\] of samples \[4, 2\]"):
        task.forecast(torch.ones(2, 4, 2), 2)

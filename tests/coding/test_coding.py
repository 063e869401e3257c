"""Encoders and readouts."""

from __future__ import annotations

import pytest
import torch

from litspike import ConstantCurrent, MeanOverTime, SettingError


def test_a_constant_current_is_the_sample_at_every_step_without_copies():
    x = torch.randn(3, 2)
    current = ConstantCurrent(16)(x)
    assert current.shape == (16, 3, 2)
    assert all(torch.equal(step, x) for step in current)
    assert current.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_steps_below_one_are_refused(steps: object):
    with pytest.raises(SettingError, match="steps"):
        ConstantCurrent(steps)  # type: ignore[arg-type]


def test_the_readout_is_the_mean_over_time():
    outputs = torch.arange(12.0).view(3, 2, 2)
    assert torch.equal(MeanOverTime()(outputs), torch.tensor([[4.0, 5.0], [6.0, 7.0]]))

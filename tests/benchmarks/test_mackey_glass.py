"""The parts of the Mackey–Glass network that are changed one at a time."""

from __future__ import annotations

import pytest
import torch

from benchmarks.mackey_glass import Network, Smooth
from litspike import GradedLIF


def test_a_smooth_neuron_sends_a_sigmoid_and_is_reset_by_as_much():
    sent, state = Smooth(decay=0.5, synapse_decay=0.5, reset="subtract")(torch.tensor([0.9]).view(1, 1, 1))
    share = 1 / (1 + torch.tensor(1.0).exp().item())  # a tenth below the threshold, ten times as steep
    assert sent.item() == pytest.approx(share)
    assert state.u.item() == pytest.approx(0.9 - share)


def test_with_memory_each_neuron_is_read_through_a_time_constant_of_its_own():
    network = Network(GradedLIF(decay=0.0, threshold=0.1), width=6)
    integrators = network.layers[2]
    potential, _ = integrators(torch.eye(2)[:1].T[..., None].expand(2, 1, 6))  # one impulse
    left = potential[1, 0] / potential[0, 0]
    assert ((left > 0.3) & (left < 1)).all()
    assert len(left.unique()) == 6

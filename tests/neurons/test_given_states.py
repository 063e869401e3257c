"""A state of another kind is refused in words about the state."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from litspike import LIF, Perceptron, UserError
from litspike.neurons import SynapticLIF


@pytest.mark.parametrize("state", [0.0, torch.zeros(3, 2), (), SynapticLIF()(torch.zeros(1, 3, 2))[1]])
def test_a_layer_takes_its_own_state_alone(state: Any):
    with pytest.raises(UserError, match=r"LIF: the state is a .*it must be a LIF\.State\(u\), or None for rest"):
        LIF()(torch.zeros(4, 3, 2), state)


def test_a_network_names_the_layer_that_gets_anothers_state():
    other = Perceptron([2, 5, 1], SynapticLIF())(torch.zeros(1, 3, 2))[1]
    with pytest.raises(UserError, match="LIF: the state is a State of 2"):
        Perceptron([2, 5, 1], LIF())(torch.zeros(4, 3, 2), other)

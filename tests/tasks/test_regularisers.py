"""Regularisers, against their equations in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from litspike.neurons import LIF
from litspike.settings import SettingError, UserError
from litspike.tasks import RateBand


def binary(*shape: int, rate: float, seed: int = 0) -> torch.Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < rate).double()


def test_the_penalty_is_the_squared_distance_of_each_neurons_rate_from_the_band():
    layers = [binary(8, 5, 6, rate=0.05), binary(8, 5, 3, 2, 2, rate=0.5), binary(8, 5, 1, rate=0.2)]
    expected = 0.0
    for layer in layers:
        distances = []
        for place in np.ndindex(*layer.shape[2:]):
            rate = layer[(slice(None), slice(None), *place)].numpy().mean()
            distances.append(max(0.1 - rate, 0, rate - 0.4) ** 2)
        expected += 3.0 * sum(distances) / len(distances)
    assert expected > 0
    assert RateBand(0.1, 0.4, 3.0)(layers).item() == pytest.approx(expected, rel=1e-12)


def test_rates_inside_the_band_cost_nothing():
    spikes = torch.tensor([1.0, 0.0, 0.0, 1.0]).view(4, 1, 1).requires_grad_()
    penalty = RateBand(0.5, 0.5)([spikes])
    penalty.backward()
    assert penalty.item() == 0
    assert spikes.grad.abs().max() == 0


def test_the_gradient_is_the_closed_forms():
    spikes = torch.zeros(4, 5, 3, dtype=torch.float64)
    spikes[:, :, 1], spikes[:2, :, 2] = 1, 1  # silent, always firing, inside the band
    spikes.requires_grad_()
    RateBand(0.1, 0.6, 2.0)([spikes]).backward()
    expected = 2.0 * 2 * np.array([-0.1, 1 - 0.6, 0]) / 3 / 20 * np.ones((4, 5, 3))
    np.testing.assert_allclose(spikes.grad.numpy(), expected, rtol=1e-12)


def test_it_drives_silent_neurons_through_their_surrogate():
    current = torch.full((6, 2, 3), 0.05, requires_grad=True)
    RateBand(low=0.1)([LIF()(current)[0]]).backward()
    assert (current.grad < 0).all()


def test_a_network_without_spikes_is_refused():
    with pytest.raises(UserError, match=r"^RateBand: the network has no spiking layer"):
        RateBand()([])


@pytest.mark.parametrize(
    ("settings", "setting"),
    [((-0.1, 0.5), "low"), ((0.1, 1.5), "high"), ((0.5, 0.4), "low"), ((0.1, 0.5, 0.0), "strength")],
)
def test_a_setting_out_of_range_is_refused_by_name(settings: tuple[float, ...], setting: str):
    with pytest.raises(SettingError, match=f"^{setting}: "):
        RateBand(*settings)

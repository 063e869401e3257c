"""Random kernels: what they are drawn as, and their rates against a loop over the steps in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from litspike import LIF
from litspike.networks import RandomKernels
from litspike.settings import SettingError

Kernel = tuple[int, dict[int, np.ndarray], float]
"""Dilation, feature → weights from the latest step back, and bias."""


def network(features: int = 3, steps: int = 40, kernels: int = 60, **more: int) -> RandomKernels:
    torch.manual_seed(0)
    return RandomKernels(features, steps, LIF(decay=0.0), kernels, **more)


def kernels_of(made: RandomKernels, features: int) -> list[Kernel]:
    """What the weights say of each kernel."""
    _, delay, taps, _ = made.layers
    lags = delay.delay.numpy().astype(int).reshape(features, -1)
    found = []
    for weights, bias in zip(
        taps.weight.numpy().reshape(len(taps.weight), *lags.shape), taps.bias.tolist(), strict=True
    ):
        used = {f: lags[f, row != 0] for f, row in enumerate(weights) if row.any()}
        (dilation,) = {int(step) for places in used.values() for step in np.diff(places)}
        found.append((dilation, {f: weights[f, weights[f] != 0] for f in used}, bias))
    return found


def rates(kernel: Kernel, x: np.ndarray) -> np.ndarray:
    """Share of the steps of series [T, B, F] at which a kernel exceeds the threshold of 1."""
    dilation, weights, bias = kernel
    above = np.zeros(x.shape[1])
    for t in range(len(x)):
        y = np.full(x.shape[1], bias)
        for feature, row in weights.items():
            for k, w in enumerate(row):
                y += w * x[t - k * dilation, :, feature] if t >= k * dilation else 0.0
        above += y >= 1
    return above / len(x)


@pytest.mark.parametrize(("features", "steps", "length"), [(1, 40, 9), (3, 40, 9), (12, 25, 4), (2, 3, 9)])
def test_rates_are_the_share_of_steps_at_which_a_loop_exceeds_the_threshold(features: int, steps: int, length: int):
    made = network(features, steps, 30, length=length).double()
    x = np.random.default_rng(0).normal(size=(steps, 4, features))
    spikes, _ = made(torch.tensor(x))
    expected = np.stack([rates(kernel, x) for kernel in kernels_of(made, features)], -1)
    assert 0.1 < expected.mean() < 0.9
    np.testing.assert_allclose(spikes.mean(0).numpy(), expected, rtol=0, atol=1e-12)


def test_a_kernel_is_of_one_length_in_each_of_its_features_and_blind_to_a_constant():
    for dilation, weights, bias in kernels_of(network(features=12, steps=40), 12):
        assert 1 <= len(weights) <= 9
        assert 1 <= dilation <= 39 / 8
        assert 0 <= bias < 2
        for row in weights.values():
            assert len(row) == 9
            assert abs(row.sum()) < 1e-5


def test_dilations_are_as_many_from_each_power_of_two_to_the_next():
    dilations = np.array([dilation for dilation, *_ in kernels_of(network(1, 8 * 64 + 1, 3000), 1)])
    assert set(dilations) == set(range(1, 64))
    shares = np.histogram(np.log2(dilations), range(7))[0] / len(dilations)
    np.testing.assert_allclose(shares, 1 / 6, atol=0.03)


def test_features_of_a_kernel_are_drawn_without_preference():
    counts = np.zeros(12)
    sizes = []
    for _, weights, _ in kernels_of(network(12, 20, 2000), 12):
        sizes.append(len(weights))
        counts[list(weights)] += 1
    assert max(sizes) == 9
    np.testing.assert_allclose(counts / counts.sum(), 1 / 12, atol=0.015)
    np.testing.assert_allclose(np.mean(np.array(sizes) == 1), 1 / np.log2(10), atol=0.04)


def test_a_series_in_pieces_gives_the_spikes_of_the_whole():
    made, x = network(), torch.randn(40, 2, 3)
    whole, _ = made(x)
    first, state = made(x[:17])
    second, _ = made(x[17:], state)
    assert torch.equal(torch.cat([first, second]), whole)


def test_what_comes_later_changes_no_spike_before():
    made, x = network(), torch.randn(40, 2, 3)
    assert torch.equal(made(torch.cat([x, torch.ones(5, 2, 3)]))[0][:40], made(x)[0])


def test_the_kernels_follow_the_global_seed_and_stand_in_a_checkpoint():
    made, same = network(kernels=3), network(kernels=3)
    torch.manual_seed(1)
    other, x = RandomKernels(3, 40, LIF(decay=0.0), 3), torch.randn(40, 2, 3)
    assert torch.equal(made(x)[0], same(x)[0])
    assert not torch.equal(made(x)[0], other(x)[0])
    other.load_state_dict(made.state_dict())
    assert torch.equal(made(x)[0], other(x)[0])


def test_nothing_of_the_kernels_is_learned():
    assert not any(parameter.requires_grad for parameter in network().parameters())


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"features": 0}, r"features: 0 is less than 1"),
        ({"steps": 0}, r"steps: 0 is less than 1"),
        ({"kernels": 0}, r"kernels: 0 is less than 1"),
        ({"length": 1}, r"length: 1 is less than 2"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_its_name(settings: dict[str, int], line: str):
    with pytest.raises(SettingError, match=line):
        network(**settings)

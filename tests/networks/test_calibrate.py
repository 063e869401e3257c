"""Calibration brings every spiking layer near its target, by its weights' scale alone."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from litspike.networks import (
    ConvNet,
    Perceptron,
    RecurrentNetwork,
    SEWResNet,
    SpikingSequential,
    calibrate,
    firing_rates,
)
from litspike.networks.calibrate import nearest_scale
from litspike.neurons import LIF, AdaptiveLIF, LeakyIntegrator, Recurrent
from litspike.settings import SettingError, UserError
from tests.grids import grid

TARGET = 0.1
NETWORKS: dict[str, tuple[Callable[[], nn.Module], list[int]]] = {
    "perceptron": (lambda: Perceptron([20, *6 * [48], 3], LIF()), [20]),
    "normalised": (lambda: Perceptron([20, *3 * [48], 3], AdaptiveLIF(), batch_norm=True, dropout=0.5), [20]),
    "recurrent": (lambda: RecurrentNetwork([20, 48, 48, 3], LIF()), [20]),
    "convolutional": (lambda: ConvNet([1, 8, 8], [6, "pool", 6], [24, 3], LIF(), batch_norm=False), [1, 8, 8]),
    "residual": (lambda: SEWResNet([1, 8, 8], [4, 8], [1, 1], 3, LIF()), [1, 8, 8]),
}


@pytest.fixture
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, list[Tensor]]:
    torch.manual_seed(0)
    make, shape = NETWORKS[request.param]
    return make(), [torch.randn(12, 20, *shape), torch.randn(12, 15, *shape)]


def measured(network: nn.Module, batches: list[Tensor]) -> list[float]:
    """Each layer's rate by hooks of the test's own, with batch norm in training and dropout off."""
    spikes: dict[nn.Module, list[float]] = {}

    def keep(layer: nn.Module, inputs: object, output: tuple[Tensor, object]) -> None:
        spikes[layer].extend(output[0].flatten().tolist())

    for name, module in network.named_modules():
        module.train(isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)))
        if isinstance(module, (LIF, AdaptiveLIF, Recurrent)) and not name.endswith(".neuron"):
            spikes[module] = []
            module.register_forward_hook(keep)
    for batch in batches:
        network(batch)
    for layer in spikes:
        layer._forward_hooks.clear()
    return [float(np.mean(values)) for values in spikes.values()]


@pytest.mark.parametrize(("case", "factor"), grid(list(NETWORKS), [0.01, 1.0, 100.0]), indirect=["case"])
def test_every_layer_fires_near_the_target_whatever_the_weights_were(
    case: tuple[nn.Module, list[Tensor]], factor: float
):
    network, batches = case
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= factor
    before = measured(copy.deepcopy(network), batches)
    report = calibrate(network, batches, TARGET)
    assert [layer.before for layer in report] == pytest.approx(before)
    assert max(abs(rate - TARGET) for rate in measured(network, batches)) < 0.1 * TARGET
    assert [layer.after for layer in report] == pytest.approx(measured(network, batches))
    if factor != 1.0:
        assert max(abs(rate - TARGET) for rate in before) > 0.5 * TARGET


@pytest.mark.parametrize("case", NETWORKS, indirect=True)
def test_nothing_but_the_scale_of_the_weights_is_changed(case: tuple[nn.Module, list[Tensor]]):
    network, batches = case
    network.train()
    modes = {name: module.training for name, module in network.named_modules()}
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    report = {layer.name: layer.scale for layer in calibrate(network, batches, TARGET)}
    assert torch.equal(torch.get_rng_state(), state)
    assert {name: module.training for name, module in network.named_modules()} == modes
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in network.modules())
    scales = {round(scale, 4) for scale in report.values() if scale is not None} - {1.0}
    found = set()
    for name, value in network.state_dict().items():
        if not torch.equal(value, before[name]):
            largest = before[name].abs().argmax()
            scale = float(value.flatten()[largest] / before[name].flatten()[largest])
            torch.testing.assert_close(value, before[name] * scale)
            found.add(round(scale, 4))
    assert found == scales
    assert all(value.requires_grad for value in network.parameters())


def test_the_scale_is_on_batch_norm_where_there_is_one_and_the_readout_is_left_alone():
    torch.manual_seed(0)
    network = Perceptron([20, 30, 30, 3], LIF(threshold=2.0), batch_norm=True)
    before = copy.deepcopy(network.state_dict())
    report = calibrate(network, [torch.randn(10, 16, 20)], TARGET)
    changed = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["layers.1.weight", "layers.4.weight"]
    torch.testing.assert_close(network.layers[1].weight, torch.full((30,), report[0].scale))


def test_a_layer_near_the_target_already_is_left_alone():
    torch.manual_seed(0)
    network, batches = Perceptron([20, 30, 3], LIF()), [torch.randn(10, 16, 20)]
    calibrate(network, batches, TARGET)
    before = copy.deepcopy(network.state_dict())
    assert [layer.scale for layer in calibrate(network, batches, TARGET)] == [1.0]
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)


def test_what_can_not_reach_the_target_is_reported_and_does_no_harm():
    network = Perceptron([4, 8, 8, 2], LIF())
    nn.init.constant_(network.layers[0].weight, -1.0)
    nn.init.constant_(network.layers[0].bias, 0.0)
    silent, following = calibrate(network, [torch.rand(6, 5, 4)], TARGET)
    assert (silent.before, silent.scale, silent.after) == (0.0, 1.0, 0.0)
    assert following.scale is not None
    assert all(value.isfinite().all() for value in network.parameters())


def test_layers_without_spikes_or_without_weights_are_left_alone():
    torch.manual_seed(0)
    layers = [nn.Linear(4, 8), LeakyIntegrator(), nn.Linear(8, 8), LIF(), LIF(), nn.BatchNorm1d(8, affine=False), LIF()]
    network = SpikingSequential(layers)
    leaky, weighted, fed_by_spikes, normalised = calibrate(network, [torch.randn(6, 5, 4)], TARGET)
    assert (leaky.scale, fed_by_spikes.scale, normalised.scale) == (None, None, None)
    assert weighted.after == pytest.approx(TARGET, rel=0.1)


@pytest.mark.parametrize("target", [0.02, 0.3])
def test_the_target_is_the_one_that_is_asked_for(target: float):
    torch.manual_seed(0)
    network = Perceptron([20, 48, 48, 48, 3], LIF())
    report = calibrate(network, [torch.randn(12, 40, 20)], target)
    assert [layer.after for layer in report] == pytest.approx([target] * 3, rel=0.1)


def test_the_nearest_scale_of_a_rate_that_stays_below_is_the_least_that_comes_close():
    assert nearest_scale(lambda scale: 0.08 * min(1.0, scale / 64), 0.1) == 64
    assert nearest_scale(lambda scale: 0.4, 0.1) == 1
    assert nearest_scale(lambda scale: 0.0, 0.1) == 1
    assert nearest_scale(lambda scale: scale**2 / 1e6, 0.1) == pytest.approx(np.sqrt(1e5), rel=0.03)
    assert nearest_scale(lambda scale: 0.2 if scale > 1e-5 else 0.1, 0.1) <= 1e-5


def test_wrong_use_is_refused():
    network = Perceptron([2, 3, 1], LIF())
    with pytest.raises(SettingError, match=r"^target_rate: 1.0 is outside \(0, 1\)$"):
        calibrate(network, [torch.rand(2, 2, 2)], 1.0)
    with pytest.raises(UserError, match="calibration needs one batch"):
        calibrate(network, [], 0.1)


def test_a_current_that_stays_the_same_is_calibrated_as_one_written_out():
    torch.manual_seed(0)
    network = Perceptron([20, 48, 48, 3], LIF())
    constant = torch.randn(30, 20).expand(7, 30, 20)
    reports = [calibrate(copy.deepcopy(network), [batch], TARGET) for batch in (constant, constant.clone())]
    assert [layer.scale for layer in reports[0]] == [layer.scale for layer in reports[1]]
    assert [layer.after for layer in reports[0]] == pytest.approx([TARGET] * 2, rel=0.1)


def test_firing_rates_are_means_over_all_batches():
    network = SpikingSequential([nn.Identity(), LIF(decay=0.0)])
    batches = [torch.full((4, 2, 3), 2.0), torch.zeros(4, 1, 3)]
    assert firing_rates(network, batches) == {"layers.1": pytest.approx(2 / 3)}

"""The ready-made networks: what they compute, their state, their gradients and what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from torch import Tensor, nn

from litspike.networks import (
    ConvNet,
    Pass,
    Perceptron,
    RecurrentNetwork,
    SEWBlock,
    SEWResNet,
    SpikingNetwork,
    SpikingSequential,
    TimeDropout,
)
from litspike.neurons import LIF, AdaptiveLIF, LeakyIntegrator, NeuronLayer, Recurrent
from litspike.settings import SettingError, UserError

CASES: dict[str, tuple[Callable[[], SpikingNetwork], list[int]]] = {
    "perceptron": (lambda: Perceptron([6, 12, 12, 3], LIF(), dropout=0.3, batch_norm=True), [6]),
    "recurrent": (lambda: RecurrentNetwork([6, 12, 12, 3], AdaptiveLIF(), dropout=0.3), [6]),
    "convolutional": (lambda: ConvNet([2, 8, 8], [4, "pool", 6, "pool"], [10, 3], LIF(), dropout=0.3), [2, 8, 8]),
    "bare": (lambda: ConvNet([2, 9], [4, "pool"], [3], LIF(), pooling="average", batch_norm=False), [2, 9]),
    "residual": (lambda: SEWResNet([2, 8, 8], [4, 6], [2, 1], 3, LIF()), [2, 8, 8]),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[SpikingNetwork, Tensor]:
    """A network that fires, in evaluation with batch norm far from its birth, and an input for it."""
    torch.manual_seed(0)
    make, shape = CASES[request.param]
    network = make()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean.uniform_(-0.5, 0.2)
                module.running_var.uniform_(0.1, 0.5)
            elif isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
                module.weight *= 2
    return network.eval(), torch.rand(11, 3, *shape)


class StepByStep:
    """Runs layers on one time step after the other, as a reader of the definition would."""

    def __init__(self) -> None:
        self.states: dict[nn.Module, Any] = {}

    def __call__(self, layers: Iterable[nn.Module], x: Tensor) -> Tensor:
        for layer in layers:
            if isinstance(layer, SEWBlock):
                path = self(layer.path.layers, x)
                x = path + (x if isinstance(layer.shortcut, nn.Identity) else self(layer.shortcut.layers, x))
            elif isinstance(layer, NeuronLayer):
                (x,), self.states[layer] = layer(x[None], self.states.get(layer))
            elif not isinstance(layer, TimeDropout):
                x = layer(x)
        return x


@pytest.mark.integration
def test_a_network_gives_what_its_layers_give_step_by_step(case: tuple[SpikingNetwork, Tensor]):
    network, x = case
    output, state = network(x)
    by_hand = StepByStep()
    torch.testing.assert_close(output, torch.stack([by_hand(network.layers, step) for step in x]))
    assert output.std() > 0
    torch.testing.assert_close(state, tuple(by_hand.states.values()))
    assert len(state) == sum(isinstance(m, NeuronLayer) and "neuron" not in n for n, m in network.named_modules())


def test_an_input_that_stays_the_same_gives_what_one_written_out_gives(case: tuple[SpikingNetwork, Tensor]):
    network, x = case
    held = x[:1].expand_as(x)
    torch.testing.assert_close(network(held), network(held.clone()))


def test_a_sequence_in_pieces_gives_what_the_whole_gives(case: tuple[SpikingNetwork, Tensor]):
    network, x = case
    whole, final = network(x)
    pieces, state = [], None
    for piece in x.split([1, 4, 6]):
        output, state = network(piece, state)
        pieces.append(output)
    torch.testing.assert_close(torch.cat(pieces), whole)
    torch.testing.assert_close(state, final)


def test_a_state_of_another_network_is_refused(case: tuple[SpikingNetwork, Tensor]):
    network, x = case
    _, state = network(x)
    with pytest.raises(UserError, match=rf"^the state is of {len(state) - 1} layers of neurons, the network has more$"):
        network(x, state[:-1])
    with pytest.raises(UserError, match=rf"{len(state) + 1} layers of neurons, the network has {len(state)}$"):
        network(x, (*state, state[-1]))


def test_the_shortcut_adds_spikes():
    torch.manual_seed(0)
    x = (torch.rand(5, 2, 4, 6, 6) < 0.5).float()
    block = SEWBlock((4, 6, 6), 4, 1, LIF(threshold=0.3))
    path, _ = block.path(x)
    assert 0.05 < path.mean() < 0.95
    assert torch.equal(block(x)[0], path + x)
    assert set(block(x)[0].unique().tolist()) == {0.0, 1.0, 2.0}
    nn.init.constant_(block.path.layers[4].bias, -100.0)
    x.requires_grad_()
    y, _ = block(x)
    assert torch.equal(y, x)


def test_a_shortcut_that_changes_the_shape_has_neurons_of_its_own():
    block = SEWBlock((4, 7, 6), 8, 2, LIF())
    y, state = block(torch.randn(5, 2, 4, 7, 6))
    assert block.shape == (8, 4, 3)
    assert y.shape == (5, 2, 8, 4, 3)
    assert len(state) == 3
    assert set(y.unique().tolist()) <= {0.0, 1.0, 2.0}


def test_the_layers_are_those_that_the_settings_say():
    network = ConvNet([1, 10, 9], [4, 5, "pool", 6, "pool"], [7, 3], LIF(), kernel_size=5, pooling="average")
    linear = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in linear] == [(7, 6 * 2 * 2), (3, 7)]
    convolutions = [layer for layer in network.layers if isinstance(layer, nn.Conv2d)]
    assert [tuple(layer.weight.shape) for layer in convolutions] == [(4, 1, 5, 5), (5, 4, 5, 5), (6, 5, 5, 5)]
    assert sum(isinstance(layer, nn.AvgPool2d) for layer in network.layers) == 2
    residual = SEWResNet([1, 8, 8], [4, 8], [1, 3], 5, LIF())
    assert [block.shape for block in residual.layers if isinstance(block, SEWBlock)] == [(4, 8, 8), *3 * [(8, 4, 4)]]
    assert all(isinstance(layer.neuron, LIF) for layer in RecurrentNetwork([2, 3, 4, 1], LIF()).layers[1:4:2])


def test_neurons_with_parameters_of_their_own_get_the_shape_of_each_layer():
    network = SEWResNet([1, 6, 6], [2, 3], [1, 1], 5, LIF(learn={"decay": "neuron"}))
    shapes = [tuple(value.shape) for name, value in network.named_parameters() if name.endswith("free_decay")]
    assert shapes == [(2, 6, 6), (2, 6, 6), (2, 6, 6), (3, 3, 3), (3, 3, 3), (3, 3, 3)]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: Perceptron([8, *10 * [32], 2], LIF(), batch_norm=True), [8]),
        (lambda: RecurrentNetwork([8, *3 * [32], 2], LIF(threshold=0.3)), [8]),
        (lambda: ConvNet([1, 8, 8], [8, 8, "pool", 8, 8, "pool", 8], [16, 2], LIF()), [1, 8, 8]),
        (lambda: SEWResNet([1, 8, 8], [4, 8, 8], [4, 4, 4], 2, LIF()), [1, 8, 8]),
    ],
)
def test_gradients_reach_the_first_layer_of_deep_networks(make: Callable[[], nn.Module], shape: list[int]):
    torch.manual_seed(0)
    network = make()
    output, _ = network(torch.randn(8, 16, *shape))
    output.mean(0)[:, 0].sum().backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert gradients["layers.0.weight"].abs().max() > 1e-6
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())


class TwoPaths(SpikingNetwork):
    def __init__(self, width: int, neuron: NeuronLayer) -> None:
        super().__init__()
        self.left = SpikingSequential([nn.Linear(2, width), neuron.shaped(width)])
        self.right = SpikingSequential([nn.Linear(2, width), neuron.shaped(width)])
        self.last = nn.Linear(width, 3)

    def through(self, x: Tensor, apply: Pass) -> Tensor:
        return apply(self.last, apply(self.left, x) + apply(self.right, x))


class Inner(SpikingNetwork):
    def __init__(self) -> None:
        super().__init__()
        self.neurons = LIF()

    def through(self, x: Tensor, apply: Pass) -> Tensor:
        return apply(self.neurons, x)


CONFIGURED = f"""
- class_path: litspike.networks.Perceptron
  init_args: {{sizes: [2, 4, 3], batch_norm: true, dropout: 0.1, neuron: LIF}}
- {{class_path: litspike.networks.RecurrentNetwork, init_args: {{sizes: [2, 4, 3], neuron: LIF}}}}
- class_path: litspike.networks.Perceptron
  init_args:
    sizes: [2, 4, 3]
    neuron: {{class_path: litspike.neurons.Recurrent, init_args: {{neuron: LIF, bias: true}}}}
- class_path: litspike.networks.ConvNet
  init_args: {{input_shape: [1, 8, 8], channels: [4, pool, 8, pool], sizes: [16, 3], neuron: LIF}}
- class_path: litspike.networks.SEWResNet
  init_args: {{input_shape: [1, 8, 8], channels: [4, 8], blocks: [1, 1], outputs: 3, neuron: LIF}}
- class_path: litspike.networks.SpikingSequential
  init_args:
    layers:
    - {{class_path: torch.nn.Linear, init_args: {{in_features: 2, out_features: 4}}}}
    - litspike.neurons.LIF
    - {{class_path: litspike.networks.TimeDropout, init_args: {{p: 0.2}}}}
    - {{class_path: torch.nn.Linear, init_args: {{in_features: 4, out_features: 3}}}}
- {{class_path: {TwoPaths.__module__}.TwoPaths, init_args: {{width: 4, neuron: LIF}}}}
""".replace("neuron: LIF", "neuron: {class_path: litspike.neurons.LIF, init_args: {decay: 0.7}}")


def test_two_paths_may_share_an_input_that_stays_the_same():
    network, shapes = TwoPaths(4, LIF()), []
    for path in (network.left, network.right):
        path.layers[0].register_forward_hook(lambda *call: shapes.append(call[1][0].shape))
    held = (torch.randn(3, 2) * 3).expand(9, 3, 2)
    found = [network(held), network(held.clone())]
    assert shapes == [(3, 2)] * 2 + [(9, 3, 2)] * 2
    torch.testing.assert_close(found[0], found[1])
    gradients = [torch.autograd.grad(output.square().sum(), list(network.parameters())) for output, _ in found]
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("settings", yaml.safe_load(CONFIGURED), ids=lambda settings: settings["class_path"])
def test_a_network_is_made_from_a_configuration(settings: dict[str, Any]):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(nn.Module, "network")
    network = parser.instantiate_classes(parser.parse_object({"network": settings})).network
    shape = settings["init_args"].get("input_shape", [2])
    output, state = network(torch.rand(4, 5, *shape))
    assert output.shape == (4, 5, 3)
    assert len(state) >= 1


def test_each_layer_of_a_network_inside_a_network_has_one_entry_in_the_state():
    network = SpikingSequential([TwoPaths(4, LeakyIntegrator()), LIF(), Inner()])
    _, state = network(torch.rand(3, 2, 2))
    assert [type(entry) for entry in state] == [LeakyIntegrator.State] * 2 + [LIF.State] * 2


def convolutional(**settings: Any) -> ConvNet:
    return ConvNet(**{"input_shape": [1, 8, 8], "channels": [4], "sizes": [3], "neuron": LIF(), **settings})


def residual(**settings: Any) -> SEWResNet:
    given = {"input_shape": [1, 8, 8], "channels": [4, 8], "blocks": [1, 1], "outputs": 3, "neuron": LIF()}
    return SEWResNet(**{**given, **settings})


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (convolutional, {"input_shape": [8]}, r"input_shape: \[8\] is not \[channels, length\] or"),
        (convolutional, {"input_shape": [1, 0, 8]}, r"input_shape\[1\]: 0 is less than 1"),
        (convolutional, {"channels": []}, r"channels: \[\] needs one convolution"),
        (convolutional, {"channels": ["pool"]}, r"channels: \['pool'\] needs one convolution"),
        (convolutional, {"channels": [4, 0]}, r"channels\[1\]: 0 is less than 1"),
        (
            convolutional,
            {"channels": [4, "pool", "pool", "pool", "pool"]},
            r"channels\[4\]: 'pool' finds an image of 1×1, too small to be pooled",
        ),
        (convolutional, {"sizes": []}, r"sizes: \[\] needs one entry"),
        (convolutional, {"sizes": [3, 0]}, r"sizes\[1\]: 0 is less than 1"),
        (convolutional, {"kernel_size": 2}, "kernel_size: 2 is even"),
        (convolutional, {"pooling": "sum"}, "pooling: 'sum' is none of max, average"),
        (convolutional, {"dropout": 1.0}, r"dropout: 1.0 is outside \[0, 1\)"),
        (residual, {"input_shape": [1, 8]}, r"input_shape: \[1, 8\] is not \[channels, height, width\]$"),
        (residual, {"channels": []}, r"channels: \[\] needs one entry"),
        (residual, {"blocks": [1]}, r"blocks: \[1\] is not one number for each of the 2 stages"),
        (residual, {"blocks": [1, 0]}, r"blocks\[1\]: 0 is less than 1"),
        (residual, {"outputs": 0}, "outputs: 0 is less than 1"),
        (residual, {"channels": [2] * 5, "blocks": [1] * 5}, r"channels: .* halves the image of 8×8 too often"),
        (lambda: Perceptron([2, 3, 1], LIF(), dropout=-0.1), {}, r"dropout: -0.1 is outside \[0, 1\)"),
        (lambda: RecurrentNetwork([2], LIF()), {}, "sizes: "),
    ],
)
def test_impossible_settings_are_refused(make: Callable[..., nn.Module], settings: dict[str, Any], message: str):
    with pytest.raises(SettingError, match=f"^{message}"):
        make(**settings)


def test_the_smallest_images_are_large_enough():
    assert convolutional(channels=[4, "pool", "pool", "pool"])(torch.rand(2, 1, 1, 8, 8))[0].shape == (2, 1, 3)
    network = residual(channels=[2] * 4, blocks=[1] * 4)
    assert network.layers[-4].shape == (2, 1, 1)
    assert network(torch.rand(2, 3, 1, 8, 8))[0].shape == (2, 3, 3)


def test_a_recurrent_network_has_connections_in_every_hidden_layer():
    layers = [layer for layer in RecurrentNetwork([2, 3, 4, 1], LIF()).layers if isinstance(layer, Recurrent)]
    assert [layer.connections.in_features for layer in layers] == [3, 4]

"""A network of rectifiers becomes one whose firing rates stand for what the rectifiers give."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from litspike.networks import Converted, ConvNet, Perceptron, ReLU, SpikingSequential
from litspike.networks.converted import balanced, rectified
from litspike.settings import UserError
from tests.export.subjects import normalising

POINTS = torch.rand(64, 6, generator=torch.Generator().manual_seed(0))
IMAGES = torch.rand(16, 2, 8, 8, generator=torch.Generator().manual_seed(1))
MANY = 2000
"""Steps after which a rate is within a thousandth of what it stands for, layer by layer."""


class Named(nn.Sequential):
    """A network from elsewhere, as a class_path names it."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 12, bias=False), nn.ReLU())
        self.append(nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)))


NETWORKS = {
    "a Sequential": (Named(), POINTS),
    "a perceptron with batch norm": (Perceptron([6, 12, 9, 3], ReLU(), batch_norm=True), POINTS),
    "convolutions": (ConvNet([2, 8, 8], [4, "pool", 6], [8, 3], ReLU(), pooling="average"), IMAGES),
    "over one dimension": (
        nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(12, 3)),
        IMAGES[..., 0],
    ),
    "groups": (
        nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(96, 3)
        ),
        IMAGES,
    ),
    "a Linear over the last axis": (
        nn.Sequential(
            *(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()),
            *(nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 3)),
        ),
        IMAGES,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_over_many_steps_the_mean_output_is_that_of_the_network(name: str):
    torch.manual_seed(0)
    network, x = NETWORKS[name]
    network = normalising(network).eval()
    spiking, scales = balanced(network, x, percentile=100.0)
    output, _ = spiking(x.expand(MANY, *x.shape))
    wanted = rectified(network)(x)
    assert len(scales) == sum(isinstance(layer, (nn.ReLU, ReLU)) for layer in network.modules())
    assert (output.mean(0) - wanted).abs().max() < 0.01 * wanted.abs().max()
    assert output.mean(0).argmax(1).equal(wanted.argmax(1))


@torch.no_grad()
def test_each_channel_has_a_scale_of_its_own_where_the_next_connection_takes_channels():
    network, x = NETWORKS["groups"]
    by_channel = [network[:2](x).amax((0, 2, 3)), network[:4](x).amax((0, 2, 3))]
    assert balanced(network, x, 100.0)[1] == [
        pytest.approx(most.where(most > 0, 1.0).tolist())
        for most in by_channel  # 1 of one that is silent
    ]
    network, x = NETWORKS["a Linear over the last axis"]
    scales = balanced(network, x, 100.0)[1]
    assert scales[:2] == [[pytest.approx(float(network[:2](x).max()))], [pytest.approx(float(network[:4](x).max()))]]
    assert len(scales[2]) == 8


@torch.no_grad()
def test_half_a_threshold_at_the_start_gives_the_nearest_rate_at_every_length():
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False))
    for layer in (network[0], network[2]):
        layer.weight.fill_(1.0)
    x = torch.linspace(0.01, 1.0, 50)[:, None]
    spikes, _ = balanced(network, x, 100.0)[0](x.expand(9, *x.shape))
    for steps in range(1, 10):
        assert ((spikes[:steps].mean(0) - x).abs() <= 0.5 / steps + 1e-6).all()


@torch.no_grad()
def test_the_network_without_spikes_is_the_one_that_was_trained():
    network = normalising(Perceptron([6, 12, 3], ReLU(), batch_norm=True)).eval()
    assert rectified(network)(POINTS).equal(network(POINTS[None])[0][0])


@torch.no_grad()
def test_a_rate_stands_for_a_percentile_of_what_a_rectifier_gives_and_the_rest_is_cut_off():
    network = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))
    for layer, weight in ((network[0], 4.0), (network[2], 0.5)):
        layer.weight.fill_(weight)
        layer.bias.fill_(0.0)
    x = torch.arange(1, 101)[:, None] / 100.0
    for percentile, scale in ((100.0, 4.0), (50.0, 2.0)):
        spiking, scales = balanced(network, x, percentile)
        assert scales == [[pytest.approx(scale)]]
        assert spiking.layers[0].weight.item() == pytest.approx(4.0 / scale)
        assert spiking.layers[1].initial == 0.5  # half a threshold
        assert spiking.layers[2].weight.item() == pytest.approx(0.5 * scale)
        output, _ = spiking(x.expand(10, *x.shape))
        most = 0.5 * scale
        assert output.mean(0).max() <= most + 1e-6
        assert ((output.mean(0) - (2 * x).clamp(max=most)).abs() <= most / 20 + 1e-6).all()  # the nearest of ten rates


def test_the_network_itself_stays_as_it_is():
    network = Named().eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    balanced(network, POINTS)
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())


class Own(SpikingSequential):
    def through(self, x: Tensor, apply: object) -> Tensor:
        return super().through(x, apply) * 2


REFUSED = {
    "1 (GELU) is no layer that rates go through; 3 (Softmax) is no layer that rates go through": nn.Sequential(
        nn.Linear(6, 4), nn.GELU(), nn.ReLU(), nn.Softmax(1)
    ),
    "0 (BatchNorm1d) follows no connection": nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3), nn.ReLU()),
    "2 (ReLU) follows no connection since": nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.ReLU()),
    "1 (BatchNorm1d) has no weight": nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3, affine=False), nn.ReLU()),
    "the network has no ReLU": nn.Sequential(nn.Linear(6, 3)),
    "(Own) is no layer that rates go through": Own([nn.Linear(6, 3), ReLU()]),
    "layers.1.1 (Tanh) is no layer": SpikingSequential([nn.Linear(6, 3), nn.Sequential(nn.ReLU(), nn.Tanh())]),
}


@pytest.mark.parametrize("line", REFUSED)
def test_each_layer_that_cannot_be_converted_is_named(line: str):
    with pytest.raises(UserError) as refusal:
        Converted(REFUSED[line])
    assert str(refusal.value).startswith(f"convert: {line}")


def test_a_network_that_ends_with_a_rectifier_is_refused():
    with pytest.raises(UserError, match="ends with a ReLU"):
        balanced(nn.Sequential(nn.Linear(6, 3), nn.ReLU()), POINTS * 10)

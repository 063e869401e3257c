"""Smooth random manifolds have the properties that their paper gives."""

from __future__ import annotations

import math

import pytest
import torch

from litspike import SettingError
from litspike.data import Manifolds
from litspike.data.manifolds import Manifold
from litspike.seeding import generator

SMALL = {"classes": 3, "units": 20, "train_samples": 60, "val_samples": 30, "test_samples": 31}


def small(**settings: object) -> Manifolds:
    return Manifolds(**{**SMALL, **settings})  # type: ignore[arg-type]


def roughness(alpha: float) -> float:
    """Mean absolute second derivative of the coordinates of ten curves, in units of their range."""
    z = torch.linspace(0, 1, 400)[:, None]
    points = torch.cat([Manifold(10, 1, alpha, generator(seed)).at(z) for seed in range(10)], 1)
    return float(points.diff(n=2, dim=0).abs().mean()) * 399**2


def intrinsic_dimension(points: torch.Tensor, neighbours: int = 10) -> float:
    """Maximum-likelihood estimate from the distances of nearest neighbours (Levina and Bickel 2004)."""
    near = torch.cdist(points.double(), points.double()).sort(1).values[:, 1 : neighbours + 1]
    return float(1 / (near[:, -1:] / near[:, :-1]).log().mean())


def test_the_larger_alpha_the_smoother():
    rough, medium, smooth = (roughness(alpha) for alpha in (1.5, 2.2, 3.0))
    assert rough > 2 * medium
    assert medium > 2 * smooth


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_a_manifold_has_its_dimension(dimension: int):
    z = torch.rand(1500, dimension, generator=generator(5))
    estimate = intrinsic_dimension(Manifold(50, dimension, 3.0, generator(1)).at(z))
    assert abs(estimate - dimension) < 0.35


@pytest.mark.parametrize("dimension", [1, 2])
def test_the_coordinates_take_all_values_from_0_to_1(dimension: int):
    grid = torch.cartesian_prod(*[torch.linspace(0, 1, 101)] * dimension).view(-1, dimension)
    points = Manifold(20, dimension, 3.0, generator(2)).at(grid)
    assert points.amin(0).max() < 0.01
    assert points.amax(0).min() > 0.99


def test_a_coordinate_is_the_product_of_the_series_of_the_paper():
    manifold = Manifold(4, 2, 2.0, generator(3))
    assert manifold.amplitude.shape == (4, 2, 32)  # 32^(-2) is the first below 1/1000
    z = (0.3, 0.7)
    expected = []
    for u in range(4):
        value = 1.0
        for d in range(2):
            numbers = zip(manifold.amplitude[u, d], manifold.frequency[u, d], manifold.phase[u, d], strict=True)
            value *= sum(float(a) * math.sin(2 * math.pi * (float(b) * z[d] + float(c))) for a, b, c in numbers)
        expected.append((value - float(manifold.low[u])) / float(manifold.width[u]))
    assert torch.allclose(manifold.at(torch.tensor([z]))[0], torch.tensor(expected), atol=1e-4)
    # the amplitudes of the k-th wave are uniform below k^(-alpha)
    wide = Manifold(200, 2, 2.0, generator(3)).amplitude * torch.arange(1, 33) ** 2.0
    assert torch.allclose(wide.mean((0, 1)), torch.tensor(0.5), atol=0.1)
    assert wide.max() <= 1


def test_each_unit_spikes_once_at_the_time_of_its_coordinate():
    spikes, y = next(iter(small(steps=40).test_dataloader()))
    points, same_y = next(iter(small(layout="analog").test_dataloader()))
    assert spikes.shape == (31, 40, 20)
    assert spikes.dtype == torch.float32
    assert torch.equal(y, same_y)
    assert torch.equal(spikes.sum(1), torch.ones(31, 20))
    assert torch.equal(spikes.argmax(1), (points * 40).floor().long().clamp(max=39))


def test_the_classes_are_equally_frequent_and_typed_by_their_number():
    y = small().dataset("test").tensors[1]
    assert torch.bincount(y).tolist() == [11, 10, 10]
    assert y.dtype == torch.int64
    assert small(classes=2).dataset("test").tensors[1].dtype == torch.float32


def test_all_parts_lie_on_the_same_manifolds_and_share_no_point():
    data = small(layout="analog", dimension=1, train_samples=3000)
    x, y = data.dataset("train").tensors
    other, other_y = data.dataset("test").tensors
    nearest = torch.cdist(other, x).min(1)
    assert torch.equal(y[nearest.indices], other_y)
    assert nearest.values.max() < 0.05  # a thousand points on a curve leave no gap
    parts = torch.cat([data.dataset(part).tensors[0] for part in ("train", "val", "test")])
    assert len(torch.unique(parts, dim=0)) == len(parts)


def test_the_seed_shapes_the_manifolds_and_chooses_the_points():
    first, again, other = (small(layout="analog", seed=seed).dataset("val").tensors[0] for seed in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.allclose(small(seed=4).manifolds[0].phase, small(seed=5).manifolds[0].phase)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("classes", 1), ("dimension", 0), ("units", 0), ("alpha", 0.0), ("layout", "x"), ("steps", 0)],
)
def test_settings_outside_their_range_are_refused(setting: str, value: object):
    with pytest.raises(SettingError, match=setting):
        small(**{setting: value})

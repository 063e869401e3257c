"""The Yin–Yang points: those of the paper, of the classes that its picture shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from litspike import SettingError
from litspike.data import YinYang
from tests.oracles.yin_yang import classes

PUBLISHED = {  # of the files in publication_data/ of github.com/lkriener/yin_yang_data_set: points, labels, counts
    "train": ([[0.68030754, 0.45049925], [0.09767211, 0.68423303]], [2, 1, 2, 1, 1], [1681, 1702, 1617]),
    "val": ([[0.68057273, 0.32097339], [0.66851572, 0.91744785]], [0, 1, 0, 0, 2], [316, 336, 348]),
    "test": ([[0.23409665, 0.40172498], [0.75132902, 0.46824252]], [2, 2, 1, 1, 1], [350, 316, 334]),
}


@pytest.fixture(scope="module")
def data() -> YinYang:
    return YinYang()


@pytest.mark.parametrize("part", PUBLISHED)
def test_the_points_are_those_that_the_paper_published(data: YinYang, part: str):
    x, y = data.dataset(part).tensors
    points, labels, counts = PUBLISHED[part]
    np.testing.assert_allclose(x[:2, :2].numpy(), points, atol=1e-7)
    assert y[:5].tolist() == labels
    assert y.bincount().tolist() == counts
    assert len(x) == {"train": 5000, "val": 1000, "test": 1000}[part]


def test_classes_are_those_of_the_picture(data: YinYang):
    x, y = data.dataset("train").tensors
    a, b = x[:, :2].double().numpy().T
    assert ((a - 0.5) ** 2 + (b - 0.5) ** 2 < 0.25 + 1e-6).all()
    edge = np.stack([np.hypot(a - middle, b - 0.5) - radius for middle in (0.25, 0.75) for radius in (0.1, 0.25)])
    far = (np.abs(edge).min(0) > 1e-6) & (np.abs(b - 0.5) > 1e-6)  # float32 may be on either side of a border
    assert far.mean() > 0.99
    assert (classes(a, b) == y.numpy())[far].all()


def test_a_sample_is_the_point_and_its_mirror_image(data: YinYang):
    x, _ = data.dataset("val").tensors
    assert x.dtype == torch.float32
    torch.testing.assert_close(x[:, :2] + x[:, 2:], torch.ones(1000, 2))


def test_the_seed_orders_the_batches_and_leaves_the_points(data: YinYang):
    other = YinYang(seed=1)
    assert torch.equal(other.dataset("train").tensors[0], data.dataset("train").tensors[0])
    assert not torch.equal(next(iter(other.train_dataloader()))[0], next(iter(data.train_dataloader()))[0])


def test_fewer_points_are_the_first_of_them(data: YinYang):
    few = YinYang(train_samples=20).dataset("train").tensors
    assert all(torch.equal(a, b[:20]) for a, b in zip(few, data.dataset("train").tensors, strict=True))
    with pytest.raises(SettingError, match="test_samples: 0 is less than 1"):
        YinYang(test_samples=0)

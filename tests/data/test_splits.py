"""Carving keeps every sample, each class's share, and nobody's last sample."""

from __future__ import annotations

import pytest
import torch

from litspike.data.splits import carve
from litspike.seeding import generator


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_each_class_gives_its_share_within_one_sample(fraction: float):
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate((50, 31, 7, 112))])
    stay, held = carve(labels, fraction, generator(0))
    assert torch.equal(torch.cat([stay, held]).sort().values, torch.arange(200))
    assert len(held) == round(fraction * 200)
    for label in range(4):
        share = fraction * int((labels == label).sum())
        assert abs(int((labels[held] == label).sum()) - share) < 1


def test_a_class_never_gives_its_last_sample():
    labels = torch.tensor([0] * 20 + [1] + [2])
    stay, _ = carve(labels, 0.95, generator(0))
    assert set(labels[stay].tolist()) == {0, 1, 2}


def test_the_generator_alone_says_which():
    labels = torch.arange(100) % 3
    assert torch.equal(carve(labels, 0.3, generator(1))[1], carve(labels, 0.3, generator(1))[1])
    assert not torch.equal(carve(labels, 0.3, generator(1))[1], carve(labels, 0.3, generator(2))[1])


def test_each_class_gives_the_least_that_is_asked_for_and_never_its_last():
    labels = torch.tensor([0] * 4 + [1] * 3 + [2])
    _, held = carve(labels, 0.01, generator(0), least=1)
    assert labels[held].tolist() == [0, 1]

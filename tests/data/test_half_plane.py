"""The article's points: their distribution, their labels, and that a seed says all about them."""

from __future__ import annotations

import pytest
import torch

from litspike import SettingError, UserError
from litspike.data import HalfPlane, TensorDataModule


def test_points_are_standard_normal_and_labelled_by_their_side():
    x, y = HalfPlane(train_points=100_000, seed=1).dataset("train").tensors
    assert x.mean(0).abs().max() < 0.015
    assert (torch.cov(x.T) - torch.eye(2)).abs().max() < 0.015
    assert torch.equal(y, (x[:, 0] + x[:, 1] > 0).float())


def test_a_seed_gives_the_same_points_whatever_was_drawn_before():
    first = HalfPlane(seed=3).dataset("train").tensors
    torch.manual_seed(99)
    torch.randn(5)
    second = HalfPlane(seed=3, batch_size=7).dataset("train").tensors
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_seeds_and_parts_share_no_point():
    tensors = [HalfPlane(seed=seed).dataset(part).tensors[0] for seed in (0, 1) for part in ("train", "val", "test")]
    points = torch.cat(tensors)
    assert len(torch.unique(points, dim=0)) == len(points)


def test_the_size_of_one_part_changes_no_other():
    small, large = HalfPlane(train_points=10), HalfPlane(train_points=5000)
    assert torch.equal(small.dataset("val").tensors[0], large.dataset("val").tensors[0])


def test_an_epoch_visits_every_point_once_in_an_order_of_its_own():
    loader = HalfPlane(batch_size=7).train_dataloader()
    orders = []
    for epoch in (0, 1, 0):
        loader.set_epoch(epoch)
        batches = list(loader)
        assert [len(x) for x, _ in batches] == [7] * 142 + [6]
        assert len(loader) == 143
        orders.append(torch.cat([x for x, _ in batches]))
        assert torch.equal(torch.cat([y for _, y in batches]), (orders[-1].sum(1) > 0).float())
    assert torch.equal(orders[0], orders[2])
    assert not torch.equal(orders[0], orders[1])
    assert torch.equal(orders[0].sort(0).values, orders[1].sort(0).values)


def test_the_order_is_drawn_at_the_first_batch_not_before():
    loader = HalfPlane().train_dataloader()
    iterator = iter(loader)
    loader.set_epoch(5)
    early, late = next(iterator), next(iter(loader))
    assert torch.equal(early[0], late[0])


def test_validation_keeps_its_order():
    data = HalfPlane()
    x = torch.cat([x for x, _ in data.val_dataloader()])
    assert torch.equal(x, data.dataset("val").tensors[0])


@pytest.mark.parametrize("setting", ["train_points", "val_points", "test_points", "batch_size", "eval_batch_size"])
def test_sizes_below_one_are_refused_by_name(setting: str):
    with pytest.raises(SettingError, match=rf"{setting}: 0 is less than 1"):
        HalfPlane(**{setting: 0})


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5])
def test_seeds_out_of_range_are_refused(seed: object):
    with pytest.raises(SettingError, match="seed"):
        HalfPlane(seed=seed)  # type: ignore[arg-type]


class Given(TensorDataModule):
    """Data that a test gives."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        super().__init__(10, 10, 0)
        self.given = x, y

    def part(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self.given


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.empty(0, 2), torch.empty(0), "the train data are empty"),
        (torch.zeros(3, 2), torch.zeros(2), "3 samples but 2 labels"),
        (torch.tensor([[0.0, 1.0], [0.0, float("nan")]]), torch.zeros(2), "NaN or infinity, first in sample 1"),
        (torch.tensor([[0.0, float("inf")]]), torch.zeros(1), "NaN or infinity, first in sample 0"),
        (torch.zeros(2, 2), torch.tensor([0.0, 2.0]), r"the label 2.0 in sample 1; it must be 0 or 1"),
        (torch.zeros(2, 2), torch.tensor([0.0, float("nan")]), "the label nan in sample 1"),
    ],
)
def test_data_that_nothing_can_be_learned_from_are_refused(x: torch.Tensor, y: torch.Tensor, message: str):
    with pytest.raises(UserError, match=message):
        Given(x, y).setup("fit")

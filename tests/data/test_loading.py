"""Two or more processes get of an epoch what one with larger batches gets, and none waits for another."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import TensorDataset

from litspike.data.loading import Share
from litspike.data.tensors import Batches
from litspike.settings import UserError


def batches(samples: int, batch_size: int, seed: int | None, share: Share) -> list[list[int]]:
    numbers = torch.arange(samples)
    loader = Batches(TensorDataset(numbers, numbers), batch_size, seed, share=share)
    seen = [x.tolist() for x, _ in loader]
    assert len(loader) == len(seen)
    return seen


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("samples", [24, 27, 29])  # none, 3 or 5 are left for the last batches
def test_batch_k_of_all_processes_is_batch_k_of_one(samples: int, ranks: int):
    shares = [batches(samples, 4, 7, Share(rank, ranks)) for rank in range(ranks)]
    alone = batches(samples, 4 * ranks, 7, Share())
    for *parts, whole in zip(*shares, alone, strict=True):
        assert sorted(number for part in parts for number in part) == sorted(whole)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_last_batch_of_fewer_samples_than_processes_repeats_them_alone():
    first, second = (batches(25, 4, 7, Share(rank, 2)) for rank in range(2))
    assert first[-1] == second[-1] == batches(25, 8, 7, Share())[-1]
    assert [batches(1, 4, 7, Share(rank, 3)) for rank in range(3)] == [[[0]]] * 3


@pytest.mark.parametrize("ranks", [2, 3, 5])
@pytest.mark.parametrize("samples", range(5, 30))
def test_every_sample_is_evaluated_once_in_as_many_batches_in_each_process(samples: int, ranks: int):
    for asked in (1, 2, 4, 100):
        size = Share(0, ranks).eval_batch_size("val", samples, asked)
        assert asked <= size <= max(asked, 7)
        shares = [batches(samples, size, None, Share(rank, ranks)) for rank in range(ranks)]
        assert sorted(number for share in shares for batch in share for number in batch) == list(range(samples))
        assert len({len(share) for share in shares}) == 1


def test_one_process_has_the_batch_size_that_was_asked_for():
    assert Share().eval_batch_size("val", 29, 4) == 4


def test_fewer_samples_than_processes_can_not_be_evaluated():
    with pytest.raises(UserError, match="the test data have 2 samples, too few for 3 processes"):
        Share(0, 3).eval_batch_size("test", 2, 4)

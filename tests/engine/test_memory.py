"""Memory of large results is used again once they are gone, and never while they are there."""

from __future__ import annotations

import gc
import threading

import pytest
import torch

from litspike.engine.cpu import memory
from litspike.engine.cpu.memory import LEAST, fresh

LIKE = torch.empty(0)
LARGE = LEAST // 4 + 5  # floats


def test_a_result_that_is_gone_leaves_its_memory_to_the_next_of_its_size():
    first = fresh(LIKE, LARGE)
    place = first.data_ptr()
    del first
    assert fresh(LIKE, LARGE).data_ptr() == place


def test_a_result_that_is_there_keeps_its_memory():
    results = [fresh(LIKE, LARGE).fill_(value) for value in range(4)]
    assert len({result.data_ptr() for result in results}) == 4
    assert [result.unique().tolist() for result in results] == [[value] for value in range(4)]


def test_a_view_holds_the_memory_of_its_result():
    result = fresh(LIKE, 2, LARGE).fill_(7)
    view, place = result[1, 3:], result.data_ptr()
    del result
    gc.collect()
    other = fresh(LIKE, 2, LARGE).fill_(0)
    assert other.data_ptr() != place
    assert view.unique().tolist() == [7]


@pytest.mark.slow
def test_what_is_kept_has_a_limit():
    results = [fresh(LIKE, 40 * LEAST) for _ in range(8)]
    del results
    assert sum(map(len, memory._blocks)) <= memory.MOST


def test_a_result_has_the_dtype_and_shape_asked_for_and_can_be_learned_through():
    result = fresh(torch.empty(0, dtype=torch.float64), 3, LARGE)
    assert (result.dtype, result.shape, result.is_contiguous()) == (torch.float64, (3, LARGE), True)
    result.fill_(1).requires_grad_().sum().backward()
    assert result.grad is not None


def test_threads_get_memory_of_their_own():
    wrong = []

    def work(value: int) -> None:
        for _ in range(50):
            result = fresh(LIKE, LARGE).fill_(value)
            if (result != value).any():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []

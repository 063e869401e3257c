"""A task is pickled, as ``torch.save`` and processes of one's own do."""

from __future__ import annotations

import pickle

import pytest
import torch

from litspike import LIF, Perceptron
from litspike.coding import ConstantCurrent, MeanOverTime
from litspike.tasks import Classification, Regression


@pytest.mark.parametrize("kind", [Classification, Regression])
def test_a_pickled_task_answers_the_same(kind: type[Classification] | type[Regression]):
    task = kind(Perceptron([2, 4, 1], LIF()), ConstantCurrent(8), MeanOverTime()).eval()
    x = torch.linspace(-2, 2, 10).view(5, 2)
    again = pickle.loads(pickle.dumps(task))
    assert torch.equal(again(x), task(x))
    assert [score.name for score in again.val_metrics.scores] == [score.name for score in task.val_metrics.scores]

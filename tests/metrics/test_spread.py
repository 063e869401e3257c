"""The spread of outputs, against values worked out by hand."""

import pytest
import torch

from litspike.metrics import Spread


def test_the_spread_is_that_of_the_output_with_the_most_over_all_batches():
    spread = Spread()
    spread.update(torch.tensor([[1.0, -4.0], [1.5, -4.0]]))
    spread.update(torch.tensor([[3.0, -4.0]]))
    assert float(spread.compute()) == pytest.approx((3 - 1) / 4)


def test_outputs_that_differ_from_each_other_and_not_between_samples_have_none():
    spread = Spread()
    for _ in range(2):
        spread.update(torch.tensor([0.0, 5.0, -7.0]).expand(3, 3))
    assert float(spread.compute()) == 0
    spread.reset()
    spread.update(torch.zeros(4, 1))
    assert float(spread.compute()) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_the_same(value):
    spread = Spread()
    spread.update(torch.tensor([[value], [value]]))
    assert float(spread.compute().nan_to_num(-1)) == -1


def test_one_sample_has_no_spread():
    spread = Spread()
    spread.update(torch.tensor([[3.0, 1.0]]))
    assert spread.compute().isnan()
    spread.update(torch.tensor([[3.0, 1.0]]))
    assert spread.compute() == 0

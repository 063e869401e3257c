"""The jackknife against the closed form of a mean, and against NumPy for a ratio."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torchmetrics import MeanMetric, MeanSquaredError
from torchmetrics.classification import BinaryPrecision

from litspike.metrics import Jackknife, exact, mean_interval, student_quantile

VALUES = torch.tensor([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])


def test_of_a_mean_with_a_group_for_each_sample_it_is_students_interval():
    jackknife = Jackknife(MeanMetric(), groups=10)
    for batch in VALUES.split(3):
        jackknife.update(batch, torch.ones(len(batch)))
    (interval,) = jackknife.interval(jackknife.compute())
    assert interval == pytest.approx(mean_interval(VALUES.tolist()), rel=1e-6)


def test_the_interval_of_a_ratio_is_that_of_the_formula():
    generator = torch.Generator().manual_seed(0)
    predicted, true = torch.randint(2, (2, 97), generator=generator)
    jackknife = Jackknife(BinaryPrecision(), groups=8)
    for batch in range(0, 97, 10):
        jackknife.update(predicted[batch : batch + 10], true[batch : batch + 10])
    p, t, group = predicted.numpy(), true.numpy(), np.arange(97) % 8
    without = np.array([(t[group != k] & p[group != k]).sum() / p[group != k].sum() for k in range(8)])
    error = np.sqrt(7 / 8 * ((without - without.mean()) ** 2).sum())
    mean, ratio = (t & p).sum() / p.sum(), student_quantile(0.975, 7) * error
    (interval,) = jackknife.interval(jackknife.compute())
    assert interval is not None
    low, high = interval
    for end in (low, high):  # the score interval's equation, in which the variance falls to 0 at 0 and 1
        assert (mean - end) ** 2 == pytest.approx(ratio**2 * end * (1 - end) / (mean * (1 - mean)), rel=1e-5)
    assert 0 < low < mean < high < 1


def test_rows_of_one_sample_stay_together():
    rows = torch.randn(30, 4, generator=torch.Generator().manual_seed(1)) + torch.arange(30.0)[:, None]
    apart, together = (Jackknife(MeanMetric(), groups=10) for _ in range(2))
    apart.update(rows.mean(1), torch.ones(30))
    together.update(rows.flatten(), torch.ones(120), samples=30)
    assert together.interval(together.compute())[0] == pytest.approx(apart.interval(apart.compute())[0], rel=1e-5)


def test_a_metric_that_no_group_changes_has_no_interval():
    jackknife = Jackknife(MeanSquaredError(), groups=4)
    jackknife.update(torch.ones(8), torch.zeros(8))
    assert jackknife.interval(jackknife.compute()) == [None]


@pytest.mark.parametrize(("device", "there"), [("mps", "cpu"), ("cuda", "cuda"), ("cpu", "cpu")])
def test_sums_are_double_where_the_device_can_and_on_the_cpu_where_not(device: str, there: str):
    with FakeTensorMode():
        found = exact(torch.zeros(3, device=device))
    assert (found.device.type, found.dtype) == (there, torch.float64)

"""Means of samples and their intervals, against Python's statistics."""

import pytest
import torch

from litspike.metrics import SampleMean, mean_interval, student_quantile
from litspike.settings import SettingError

VALUES = torch.tensor([[0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [float(i) for i in range(10)]])


def test_means_and_intervals_over_several_batches():
    means = SampleMean(2)
    for batch in VALUES.split([3, 3, 4], dim=1):
        means.update(batch)
    found = means.compute()
    assert found["mean"].tolist() == pytest.approx([0.75, 4.5])
    assert found["deviation"].tolist() == pytest.approx([1.78901, 3.02765], abs=1e-5)
    assert int(found["samples"]) == 10
    for interval, values in zip(means.intervals(), VALUES.tolist(), strict=True):
        assert interval == pytest.approx(mean_interval(values))


def test_one_sample_has_no_interval():
    mean = SampleMean()
    mean.update(torch.tensor([2.0]))
    assert mean.intervals() == []
    assert float(mean.compute()["mean"]) == 2


def test_the_expansion_for_many_samples_meets_the_exact_quantile():
    assert student_quantile(0.975, 499) == pytest.approx(student_quantile(0.975, 500), abs=2e-5)
    assert student_quantile(0.975, 1000) == pytest.approx(1.962339, abs=1e-6)  # the published tables' value
    assert student_quantile(0.975, 10**9) == pytest.approx(1.959964, abs=1e-6)


def test_figures_below_one_are_refused():
    with pytest.raises(SettingError, match=r"^quantities: 0 is less than 1$"):
        SampleMean(0)

"""The settings of the networks that a forecast is compared with are chosen without the points to be predicted."""

from __future__ import annotations

import pytest
import torch

from benchmarks.forecast import WithinKnown
from litspike.data import MackeyGlassForecast


@pytest.mark.slow  # the series is solved four times
def test_the_search_sees_no_point_of_the_test():
    known, _ = MackeyGlassForecast(run=3).part("test")
    within = WithinKnown(run=3)
    x, y = within.part("test")
    assert y.shape == (1, 150, 1)
    assert torch.equal(torch.cat([x, y], 1), known)
    for part in ("train", "val"):
        seen, after = within.part(part)
        assert torch.isin(torch.cat([seen, after], 1), x).all()

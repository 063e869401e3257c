"""A resumed run draws what an uninterrupted one would have."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from litspike.cli.check.weights import check_weights
from litspike.coding import PoissonRate
from litspike.settings import UserError


def test_draws_go_on_where_a_saved_state_stopped(tmp_path: Path):
    x = torch.full((8, 4), 0.5)
    whole = nn.Sequential(PoissonRate(seed=4))
    expected = [whole(x) for _ in range(5)]
    first = nn.Sequential(PoissonRate(seed=4))
    for _ in range(2):
        first(x)
    first.eval()(x)
    torch.save({"state_dict": first.state_dict()}, tmp_path / "file")
    second = nn.Sequential(PoissonRate(seed=4))
    second.load_state_dict(torch.load(tmp_path / "file", weights_only=True)["state_dict"])
    assert all(torch.equal(second(x), draw) for draw in expected[2:])


def test_its_state_is_compared_as_weights_are(tmp_path: Path):
    model = nn.Sequential(PoissonRate(), nn.Linear(2, 1))
    check_weights(tmp_path, {"state_dict": model.state_dict()}, model)
    with pytest.raises(UserError, match="_extra_state is missing there"):
        check_weights(tmp_path, {"state_dict": nn.Sequential(nn.Identity(), nn.Linear(2, 1)).state_dict()}, model)

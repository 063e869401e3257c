"""Lightning's averages of weights: they are validated, kept, tested, and the same after an interruption."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback

from litspike.settings import LitspikeWarning
from tests.conftest import Cli, runs
from tests.runs.test_inside_epochs import checkpoint, equal, file, last, scalars

QUICK = "--data.train_points 95 --data.val_points 50 --pictures.every 0 --checkup.every 0"
"""Ten batches an epoch."""

PLACE = "lightning.pytorch.callbacks"
AVERAGES = {
    "mean": f"{{class_path: {PLACE}.WeightAveraging}}",
    "ema": f"{{class_path: {PLACE}.EMAWeightAveraging, init_args: {{decay: 0.8, update_every_n_steps: 2}}}}",
    "by epoch": (
        f"{{class_path: {PLACE}.EMAWeightAveraging, init_args: "
        "{decay: 0.5, update_every_n_steps: 0, update_starting_at_epoch: 0}}"
    ),
}
WEIGHTS: list[dict[str, torch.Tensor]] = []
"""Those after each step of a fit."""


class Noting(Callback):
    """Notes them."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        WEIGHTS.append({name: value.detach().clone() for name, value in pl_module.named_parameters()})


@pytest.mark.parametrize("kind", ["mean", "ema"])
def test_the_averages_are_what_is_validated_kept_and_tested(cli: Cli, home: Path, kind: str):
    WEIGHTS.clear()
    noting = f"{{class_path: {__name__}.Noting}}"
    chosen = file(home, f"trainer: {{callbacks: [{AVERAGES[kind]}, {noting}]}}")
    ran = cli(f"fit {QUICK} {chosen} --trainer.max_epochs 3 --model.optimizer.lr 0.1")
    assert (ran.status, ran.err) == (0, "")
    (run,) = runs(home, "mine")
    best = checkpoint(run / "checkpoints" / "best.ckpt")
    done = WEIGHTS[: best["global_step"]]
    for name, now in done[-1].items():
        values = [weights[name] for weights in done]
        if kind == "mean":
            expected = torch.stack(values).mean(0)
        else:
            expected = values[0]
            for value in values[2::2]:
                expected = 0.8 * expected + 0.2 * value
        assert torch.allclose(best["state_dict"][name], expected, atol=1e-6), name
        assert not torch.allclose(expected, now, atol=1e-4), name
    least = min(value for _, value in scalars(run, "val/loss"))
    for command in ("validate", "test"):
        with warnings.catch_warnings(record=True) as said:
            ran = cli(command)
        assert ran.status == 0, ran.err
        assert not [warning for warning in said if "WeightAveraging" in str(warning.message)]
        if command == "validate":
            found = re.search(r"loss\D+(\d\.\d{4})", ran.out)
            assert found is not None
            assert float(found[1]) == pytest.approx(least, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mean", "ema"])
def test_a_fit_that_goes_on_comes_to_the_averages_of_one_never_interrupted(cli: Cli, home: Path, kind: str):
    chosen = f"{QUICK} {file(home, f'trainer: {{callbacks: [{AVERAGES[kind]}]}}')} --trainer.max_epochs 3"
    cli(f"fit {chosen} --trainer.max_epochs 1")
    for end in ("14", "-1"):  # inside the second epoch, and the third's
        ran = cli(f"fit --ckpt_path last --logs {home}/logs --trainer.max_epochs 3 --trainer.max_steps {end}")
        assert (ran.status, ran.err) == (0, "")
    cli(f"fit {chosen}")
    pieces, whole = (last(run) for run in runs(home, "mine"))
    for part in ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "litspike/resume"):
        assert equal(pieces[part], whole[part]), part


@pytest.mark.slow
def test_an_average_by_epochs_goes_on_between_epochs_and_says_where_it_can_not(cli: Cli, home: Path):
    kind = "by epoch"
    chosen = f"{QUICK} {file(home, f'trainer: {{callbacks: [{AVERAGES[kind]}]}}')} --trainer.max_epochs 3"
    cli(f"fit {chosen} --trainer.max_epochs 1")
    cli(f"fit --ckpt_path last --logs {home}/logs --trainer.max_epochs 3")
    cli(f"fit {chosen}")
    pieces, whole = (last(run) for run in runs(home, "mine"))
    assert equal(pieces["state_dict"], whole["state_dict"])
    cli(f"fit {chosen} --trainer.max_steps 14")
    with pytest.warns(LitspikeWarning, match="EMAWeightAveraging has taken the weights in the middle of this epoch"):
        cli(f"fit --ckpt_path last --logs {home}/logs --trainer.max_steps 20")

"""The metrics in a run's record."""

from __future__ import annotations

import warnings

from lightning import Trainer

from litspike.reports.console import STAGES, logged
from litspike.runs import checkpoints
from litspike.runs.folder import BEST, Run
from litspike.settings import LitspikeWarning, UserError


def note_metrics(run: Run, trainer: Trainer) -> None:
    """Put a trainer's newest metrics into a run's record, and those of the run's best checkpoint."""
    metrics = trainer.callback_metrics
    new = {name: float(value) for name, value in metrics.items() if name.count("/") == 1}
    new |= {f"{stage}/{name}": value for stage in STAGES for name, value in logged(trainer, stage).items()}
    try:
        best = {"best": checkpoints.figures(checkpoints.read(run.checkpoint(BEST)))}
    except UserError:  # there may be none
        best = {}
    try:
        run.note(figures={**run.record().get("figures", {}), **new}, **best)
    except UserError as error:
        warnings.warn(str(error), LitspikeWarning, stacklevel=2)

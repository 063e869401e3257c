"""The record of a run: its configuration, its status, and what its checkpoints need to be used by themselves."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams

from litspike.cli.checkpoints import KEY
from litspike.cli.messages import named_settings
from litspike.cli.runs import Run
from litspike.files import replace_text
from litspike.tasks import Task


class RunRecord(Callback):
    """Keeps a run's configuration beside its checkpoints and inside them, and shows it in TensorBoard.

    A checkpoint also gets the state of torch's random generators, so that a resumed run draws what an uninterrupted
    one would have drawn.

    Args:
        run: the run's folder.
        config: its configuration, as YAML.
        settings: the same, as nested dictionaries.
        changed: settings of the optimizer that hold instead of what a checkpoint's optimizer state says.
    """

    def __init__(self, run: Run, config: str, settings: dict[str, Any], changed: set[str]) -> None:
        self.run, self.config, self.settings, self.changed = run, config, settings, changed
        self._rng: dict[str, torch.Tensor] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the configuration, before any training."""
        if not trainer.is_global_zero:
            return
        path = self.run.folder / "config.yaml"
        if path.is_file() and path.read_text(encoding="utf-8") != self.config:
            number = len(list(self.run.folder.glob("config.before-*.yaml"))) + 1
            path.rename(path.with_name(f"config.before-{number}.yaml"))
        replace_text(path, self.config)
        self.run.note(status="running")
        if isinstance(trainer.logger, TensorBoardLogger):
            scores = pl_module.val_figures.scores if isinstance(pl_module, Task) else ()
            _show_hyperparameters(trainer.logger, self.settings, ["loss", *(score.name for score in scores)])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on in the random state of the checkpoint, once everything that draws has drawn, and as was asked anew."""
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group.update({name: optimizer.defaults[name] for name in self.changed})
        if self._rng:
            torch.set_rng_state(self._rng["cpu"])
            if "cuda" in self._rng and torch.cuda.is_available():
                torch.cuda.set_rng_state(self._rng["cuda"])

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the configuration and the random state into the checkpoint."""
        rng = {"cpu": torch.get_rng_state()}
        if pl_module.device.type == "cuda":
            rng["cuda"] = torch.cuda.get_rng_state()
        checkpoint[KEY] = {"config": self.config, "rng": rng}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the random state up."""
        self._rng = checkpoint.get(KEY, {}).get("rng", {})


def _show_hyperparameters(logger: TensorBoardLogger, settings: dict[str, Any], names: list[str]) -> None:
    """Fill TensorBoard's HParams tab: what the result depends on, beside the figures that the run logs as scalars."""
    shown = {name: settings.get(name) for name in ("seed_everything", "model", "data", "trainer")}
    values = {
        name.removesuffix(".class_path"): value if isinstance(value, (bool, int, float)) else str(value)
        for name, value in named_settings(shown)
        if value is not None and not isinstance(value, dict)
    }
    figures = [f"{stage}/{name}" for stage in ("train", "val", "test") for name in names]
    writer = logger.experiment.file_writer
    summaries = hparams(values, dict.fromkeys(figures, 0.0))  # type: ignore[no-untyped-call]  # torch leaves it untyped
    for summary in summaries:
        writer.add_summary(summary)

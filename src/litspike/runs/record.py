"""The record of a run: its configuration, its status, and what its checkpoints need to be used by themselves."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams

from litspike.files import free_name, replace_text
from litspike.loggers import boards
from litspike.runs.collectives import at_the_first
from litspike.runs.contents import KEY, check_optimizers
from litspike.runs.folder import Run
from litspike.seeding import generator
from litspike.settings import named_settings
from litspike.terminal import say

_PROCESS = 103  # purpose of the seeds of further processes, apart from all other draws of a seed


class RunRecord(Callback):
    """Keeps a run's configuration beside its checkpoints and inside them, and shows it in TensorBoard.

    A checkpoint also gets the state of torch's random generators in each process, so that a resumed run draws what an
    uninterrupted one would have drawn. No two processes draw the same.

    Args:
        run: the run's folder; None in every process but the first, which writes.
        config: its configuration, as YAML.
        settings: the same, as nested dictionaries.
    """

    def __init__(self, run: Run | None, config: str, settings: dict[str, Any]) -> None:
        self.run, self.config, self.settings = run, config, settings
        self._rng: list[dict[str, torch.Tensor]] = []
        self.noted = False
        """Whether the run's record says that it is running."""
        self._first_step: int | None = None
        self._validated_at: int | None = None
        self.headline = ""
        """What is printed once the first step is done: a run that comes to none is not kept."""

    def has_trained(self, trainer: Trainer) -> bool:
        """Whether this process has done a step."""
        return self._first_step is not None and trainer.global_step > self._first_step

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.run is None:
            return
        path = self.run.folder / "config.yaml"
        if path.is_file() and path.read_bytes() != self.config.encode():
            path.rename(free_name(path))
        replace_text(path, self.config)
        self.run.note(status="running")
        self.noted = True
        values = self._hyperparameters()
        # The first summary, which names the columns, is left out: TensorBoard would take one run's for those of all,
        # without a regression's error or another network's settings. With none it finds every run's own.
        _, start, self._session_end = hparams(values, {})  # type: ignore[no-untyped-call]  # torch leaves it untyped
        for board in boards(trainer):
            board.experiment.file_writer.add_summary(start)
        for logger in trainer.loggers:
            if not isinstance(logger, TensorBoardLogger):
                logger.log_hyperparams(values)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell the HParams tab that the run came to its end."""
        for board in boards(trainer) if self.run is not None else []:
            board.experiment.file_writer.add_summary(self._session_end)

    def _hyperparameters(self) -> dict[str, bool | int | float | str]:
        """What the result depends on, by the names of the settings."""
        shown = {name: self.settings.get(name) for name in ("seed_everything", "model", "data", "trainer")}
        return {
            name.removesuffix(".class_path"): value if isinstance(value, (bool, int, float)) else str(value)
            for name, value in named_settings(shown)
            if value is not None and not isinstance(value, dict)
        }

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on in the random state of the checkpoint, once everything that draws has drawn, and as was asked anew."""
        self._first_step = trainer.global_step
        check_optimizers(trainer.ckpt_path, trainer.optimizers)
        rank = trainer.global_rank
        if rank < len(self._rng):
            torch.set_rng_state(self._rng[rank]["cpu"])
            if "cuda" in self._rng[rank] and torch.cuda.is_available():
                torch.cuda.set_rng_state(self._rng[rank]["cuda"])
        elif rank > 0:  # all have the same seed, for the same first weights
            torch.manual_seed(generator(torch.initial_seed() % 2**32, _PROCESS, rank).initial_seed())

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Print the headline after the first step."""
        if self.has_trained(trainer):
            vars(self)["on_train_batch_end"] = None  # Lightning skips it in all other steps
            if self.run is not None:
                say(trainer, self.headline)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note which weights were measured."""
        self._validated_at = None if trainer.sanity_checking else trainer.global_step

    def _measured(self, trainer: Trainer) -> dict[str, float]:
        """The metrics of validation of the weights as they are; empty where others were measured."""
        if self._validated_at != trainer.global_step:
            return {}
        return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the configuration and the random state of every process into the checkpoint."""
        rng = {"cpu": torch.get_rng_state()}
        if pl_module.device.type == "cuda":
            rng["cuda"] = torch.cuda.get_rng_state()
        checkpoint[KEY] = {
            "config": self.config,
            "rng": at_the_first(trainer, rng),
            "figures": self._measured(trainer),
            "complete": _ends(trainer),
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._rng = checkpoint.get(KEY, {}).get("rng", [])


def _ends(trainer: Trainer) -> bool:
    """Whether training comes to its end with the epoch that is being done."""
    done = trainer.current_epoch + 1
    stops = (
        trainer.should_stop and done >= (trainer.min_epochs or 0) and trainer.global_step >= (trainer.min_steps or 0)
    )
    return bool(stops or done == trainer.max_epochs or trainer.global_step == trainer.max_steps)

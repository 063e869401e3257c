"""What litspike uses of Lightning's private parts."""

from __future__ import annotations

import inspect
import operator
import subprocess
from collections.abc import Callable
from functools import reduce, wraps
from typing import Any, get_args

from lightning import LightningDataModule, Trainer
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher, _SubprocessScriptLauncher
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning_utilities.core.apply_func import apply_to_collection
from torch.utils.data import DataLoader


def spawns_or_forks(trainer: Trainer) -> bool:
    """Whether a trainer starts processes that run no command line; strategies have no public attribute for it."""
    return isinstance(trainer.strategy.launcher, _MultiProcessingLauncher)


def after_launch(trainer: Trainer, watch: Callable[[list[subprocess.Popen[bytes]]], None]) -> None:
    """Have the other processes handed over once Lightning has started them; where it starts none, nothing happens.

    Lightning would watch them itself, and kill this process up to five seconds after one of them is gone, before it has
    written what it has. There is no switch for it, so that its list of processes is emptied.

    Args:
        trainer: the trainer, before it starts them.
        watch: what takes the processes.
    """
    launcher = trainer.strategy.launcher
    if not isinstance(launcher, _SubprocessScriptLauncher):
        return
    start = launcher._call_children_scripts

    def start_watched() -> None:
        start()
        processes, launcher.procs = launcher.procs, []
        watch(processes)

    launcher._call_children_scripts = start_watched  # type: ignore[method-assign]  # for this trainer alone


def leave_sigterm(trainer: Trainer) -> None:
    """Let Lightning do nothing at SIGTERM beside what it does for SLURM.

    Its handler asks the other processes something while it handles the signal, and waits for ever where they do
    something else. A trainer registers it whatever handler was there before.
    """
    trainer._signal_connector._sigterm_notifier_fn = lambda *_: None  # type: ignore[method-assign]  # of this trainer


def skip_empty_metrics(trainer: Trainer) -> None:
    """Let the end of a batch pass over the metrics where a module's ``log`` gave none.

    Lightning puts together three dictionaries of them after every batch, a fortieth of a small network's step.
    """
    connector = trainer._logger_connector
    whole = connector.on_batch_end

    def on_batch_end() -> None:
        results = trainer._results
        if results is None or results:
            whole()
        else:
            results.batch = results.batch_size = None

    connector.on_batch_end = on_batch_end  # type: ignore[method-assign]  # of this trainer


def clear_restarting(trainer: Trainer) -> None:
    """Let the end of an epoch that was gone on with count as any other's: schedules that follow a metric see it.

    The public setter, ``fit_loop.restarting``, takes no False where ``max_steps`` alone is set.
    """
    trainer.fit_loop._restarting = False


def new_training_loader(trainer: Trainer) -> Any:
    """A loader of the training data beside that of the fit, wherever these come from.

    ``trainer.train_dataloader`` is the fit's own, and a data module need not be where they come from.
    """
    return trainer.fit_loop._data_source.dataloader()


def validation_metrics(trainer: Trainer) -> list[str]:
    """Names of what the validation of a fit logged that has just ended.

    ``trainer.callback_metrics`` lacks, in the sanity check, what was logged of several loaders.
    """
    results = trainer.fit_loop.epoch_loop.val_loop._results
    entries = [entry for entry in results.values() if entry.meta.on_epoch]
    return list(dict.fromkeys(name for entry in entries for name in results._forked_name(entry, on_step=False)))


def read_integers_first() -> None:
    """Let 1 be one batch where a setting of the Trainer takes a number of batches or a share of them, not 1.0, all.

    Lightning has the integer first. ``Optional[Union[int, float]]`` can be ``Union[float, int, None]`` all the same:
    Python hands out whichever of the two it was asked for first.
    """
    hints = inspect.unwrap(Trainer.__init__).__annotations__
    for name, hint in hints.items():
        kinds = get_args(hint)
        if int in kinds and float in kinds:
            order = sorted([int, float], key=kinds.index)
            hints[name] = reduce(operator.or_, [{order[0]: int, order[1]: float}.get(kind, kind) for kind in kinds])


def name_loader_arguments(data: LightningDataModule) -> None:
    """Let a data module make its loaders by position, as in ``DataLoader(samples, 10, True)``.

    Lightning notes their arguments, and makes some loaders anew with a sampler of its own: it would then give what came
    by position a second time, by name.
    """
    for part in ("train", "val", "test", "predict"):
        if is_overridden(name := f"{part}_dataloader", data):
            setattr(data, name, _naming(getattr(data, name)))


def _naming(make: Callable[[], Any]) -> Callable[[], Any]:
    @wraps(make)
    def named() -> Any:
        return apply_to_collection(make(), DataLoader, _named)

    return named


def _named(loader: DataLoader[Any]) -> DataLoader[Any]:
    """The same, of which Lightning's note has all arguments but the first by name."""
    args, names = getattr(loader, "__pl_saved_args", ()), getattr(loader, "__pl_saved_arg_names", ())
    if args and len(args) == len(names):
        more = dict(zip(names[1:], args[1:], strict=True))
        notes = {"args": args[:1], "arg_names": names[:1], "kwargs": {**getattr(loader, "__pl_saved_kwargs"), **more}}
        for note, value in notes.items():
            object.__setattr__(loader, f"__pl_saved_{note}", value)
    return loader

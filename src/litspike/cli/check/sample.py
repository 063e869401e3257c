"""Before anything runs: one sample goes through encoder, network, readout and loss, and what doesn't suit is named."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Size, Tensor, nn
from torch.utils.data import IterableDataset, TensorDataset

from litspike import memory
from litspike.cli.check.memory import check_batch, largest_output
from litspike.cli.check.remedies import outputs_remedy, remedy
from litspike.cli.check.schedulers import check_schedulers
from litspike.networks.suits import Unsuited, naming, normalises_one_value
from litspike.networks.watch import evaluation_mode
from litspike.seeding import isolated
from litspike.settings import UserError
from litspike.tasks.batches import check_finite, check_one_loader, unpack, unpack_new
from litspike.tasks.nonfinite import nonfinite_weight
from litspike.tasks.task import Task

_PARTS = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",), "predict": ("predict",)}
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_FEW = 4
"""Samples that a metric of the user's is tried on: some need two or more."""


class Suitable(Callback):
    """Refuses a network that doesn't suit the data, by the layer or the setting that has to change.

    One sample of each part goes through the task as it is evaluated. Nothing is drawn from the global random state,
    no gradient is taken and no module is changed.

    Raises:
        UserError: before training, validation, test or prediction.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the parts of a fit, and at the first steps of its schedulers."""
        self._check(trainer, pl_module, "fit")
        if isinstance(pl_module, Task):
            check_schedulers(pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the validation part, where it isn't that of a fit."""
        if trainer.state.fn == "validate":
            self._check(trainer, pl_module, "validate")

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check(trainer, pl_module, "test")

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check(trainer, pl_module, "predict")

    def _check(self, trainer: Trainer, task: LightningModule, stage: str) -> None:
        if not isinstance(task, Task):
            return
        if trainer.ckpt_path is not None:
            _check_weights(trainer.ckpt_path, task)

        def moved(batch: Any) -> Any:
            return trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))

        with isolated():
            data: Any = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it from afar
            for part in _PARTS[stage]:
                if not is_overridden(f"{part}_dataloader", data):
                    continue  # Lightning says what it needs
                loader = getattr(data, f"{part}_dataloader")()
                check_part(task, part, loader, moved, trainer.precision_plugin.forward_context)


def check_part(
    task: Task,
    part: str,
    loader: Any,
    moved: Callable[[Any], Any] = lambda batch: batch,
    context: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> None:
    """Send one sample of a part of the data through a task, which is left as it was; raises :class:`UserError`."""
    _check_loader(part, loader)
    with evaluation_mode(task), context():
        batch = _one(loader, part)
        if batch is None:
            return
        x, y, lengths = unpack_new(moved(batch))
        if lengths is not None:
            _check_lengths(task, x)
        labels = task.of_one_pass(part, _all_labels(loader, y))
        _check_batch(task, x, labels, part == "train" and _single(loader), _samples(loader))
    if isinstance(loader.dataset, TensorDataset):
        check_finite(part, loader.dataset.tensors[0])
        task.checked.add(part)


def _check_loader(part: str, loader: Any) -> None:
    """Refuse several loaders where a task takes one, and one that gives nothing."""
    check_one_loader(part, loader)
    data = getattr(loader, "dataset", None)
    if isinstance(data, Sized) and not isinstance(data, IterableDataset) and len(data) == 0:
        raise UserError(f"the {part} data are empty")


def _check_weights(path: Any, task: Task) -> None:
    """Refuse weights that are no numbers: neurons turn them into no spikes, and the loss stays finite."""
    if (name := nonfinite_weight(task)) is not None:
        raise UserError(f"{path}: {name} holds NaN or infinity: its training went wrong, name another checkpoint")


def _one(loader: Any, part: str) -> Any:
    """The first sample as a batch of one; None of a loader that can't say it without going on."""
    data: Any = getattr(loader, "dataset", None)
    if data is None or isinstance(data, IterableDataset) or not hasattr(data, "__len__") or len(data) == 0:
        return None
    if isinstance(data, TensorDataset):
        x, *others = data[:1]
        form = getattr(loader, "form", None)
        first = x if form is None else form(x), *others[:1], *({"lengths": one} for one in others[1:])
        return first if others or part == "predict" else unpack(first)
    batch = data.__getitems__([0]) if hasattr(data, "__getitems__") else [data[0]]
    batch = loader.collate_fn(batch) if hasattr(loader, "collate_fn") else batch
    if part == "predict" and isinstance(batch, Tensor):
        return batch
    samples = isinstance(batch, (tuple, list)) and all(isinstance(entry, Tensor) for entry in batch[:2])
    third = len(batch) == 3 and isinstance(batch[2], dict)
    return tuple(batch) if samples and (len(batch) == 2 or third or (part == "predict" and len(batch) == 1)) else None


def _all_labels(loader: Any, y: Tensor) -> Tensor:
    """The labels of the whole part, where they lie in memory; else those given."""
    data = loader.dataset
    return data.tensors[1] if isinstance(data, TensorDataset) and len(data.tensors) > 1 else y


def _single(loader: Any) -> bool:
    """Whether a batch of one sample comes in an epoch."""
    size = getattr(loader, "batch_size", None)
    if size is None or getattr(loader, "drop_last", False):
        return size == 1
    return bool(size == 1 or len(loader.dataset) % size == 1)


def _samples(loader: Any) -> int:
    """Samples of the largest batch that comes."""
    size = getattr(loader, "batch_size", None)
    return min(size, len(loader.dataset)) if isinstance(size, int) else 1


def _check_lengths(task: Task, x: Tensor) -> None:
    """Refuse parts of a task that would let what is after a sequence's end count.

    Args:
        task: in evaluation mode.
        x: a sample, [1, T, *], that has fewer steps than T, or as many.
    """
    lengths_differ = "the sequences have different lengths"
    if len(_encoded(task, x)) != x.shape[1]:
        raise UserError(
            f"model.encoder: {lengths_differ}, and {type(task.encoder).__name__} doesn't keep their steps: take "
            "litspike.coding.TimeFirst or DeltaModulation"
        )
    takers: dict[str, Any] = {"readout": task.readout.forward, "loss": type(task.loss).__call__}
    if task.regulariser is not None:
        takers["regulariser"] = type(task.regulariser).__call__
    for name, taker in takers.items():
        if "lengths" not in inspect.signature(taker).parameters:
            raise UserError(
                f"model.{name}: {lengths_differ}, and {type(getattr(task, name)).__name__} takes no lengths"
            )
    for name, layer in task.network.named_modules():
        if isinstance(layer, _NORMS):
            kind = type(layer).__name__
            raise UserError(
                f"model.network: {lengths_differ}, and {name} ({kind}) would mix in what comes after their ends"
            )


def _check_batch(task: Task, x: Tensor, labels: Tensor, single: bool, samples: int) -> None:
    """Send a batch of one sample through a task.

    Args:
        task: in evaluation mode.
        x: the sample, [1, *].
        labels: of all samples of the part, [N, *].
        single: whether a batch of one sample is trained on.
        samples: of a batch as it is run.
    """
    current = _encoded(task, x)
    sample = tuple(current.shape[2:])
    try:
        with naming(task.network, sample), largest_output(task.network) as largest:
            outputs = _outputs(task.network, current)
    except Unsuited as error:
        raise UserError(f"model.network: {error}{remedy(task.network, error)}") from error
    check_batch(task, current, largest, samples)
    with _blamed("model.readout", task.readout, f"outputs {list(outputs.shape)}"):
        values = task.readout(outputs)
    if single and (
        name := normalises_one_value(task.network, lambda: task.network(current))
        or normalises_one_value(task.readout, lambda: task.readout(outputs))
    ):
        raise UserError(
            f"data.batch_size: a batch of one sample gives {name} one value a channel, which can't be normalised: "
            "choose a size that leaves no rest of 1"
        )
    if not isinstance(values, Tensor) or values.dim() < 1 or len(values) != len(x):
        shown = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise UserError(f"model.readout: {type(task.readout).__name__} gives {shown}; one sample needs [1, *]")
    if not labels.numel():
        return  # new samples, of which nobody knows the answer
    _check_takes("loss", task.loss, values, outputs, labels)
    if task.regulariser is not None:
        _check_takes("regulariser", task.regulariser, [outputs])
    try:
        task.loss.check(Size([len(labels), *values.shape[1:]]), labels)
    except UserError as error:
        raise UserError(f"{error}{outputs_remedy(task.network, values, labels)}") from error
    few = labels[:_FEW]
    task.test_metrics.check(task.in_unit(values).expand(len(few), *values.shape[1:]), few)


def _check_takes(setting: str, part: Callable[..., Any], *given: Any) -> None:
    """Refuse a loss or a regulariser of the user's own that can't be called as a task calls it."""
    try:
        inspect.signature(part).bind(*given)
    except TypeError as error:
        arguments = "(value, outputs, target)" if setting == "loss" else "(spikes)"
        name = type(part).__name__
        raise UserError(f"model.{setting}: {name}.__call__ is called with {arguments}: {error}") from None


def _encoded(task: Task, x: Tensor) -> Tensor:
    name = type(task.encoder).__name__
    with _blamed("model.encoder", task.encoder, f"samples {list(x.shape[1:])}"):
        current = task.encoder(x)
    if not isinstance(current, Tensor) or current.dim() < 2 or current.shape[1] != len(x):
        shown = list(current.shape) if isinstance(current, Tensor) else type(current).__name__
        raise UserError(f"model.encoder: {name} gives {shown} for one sample; it must give [T, 1, *], time first")
    if len(current) == 0:
        raise UserError(f"model.encoder: {name} gives no time step of samples {list(x.shape[1:])}")
    return current


def _outputs(network: nn.Module, current: Tensor) -> Tensor:
    """The network's outputs [T, B, *]."""
    result = network(current)
    pair = isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Tensor)
    if not pair or result[0].dim() < 2 or result[0].shape[:2] != current.shape[:2]:
        first = result[0] if isinstance(result, tuple) and result else result
        shown = list(first.shape) if isinstance(first, Tensor) else type(first).__name__
        raise UserError(
            f"model.network: {type(network).__name__} gives {shown} for {list(current.shape)}; it must return "
            "(outputs [T, B, *], state)"
        )
    outputs: Tensor = result[0]
    return outputs


@contextmanager
def _blamed(setting: str, module: nn.Module, given: str) -> Iterator[None]:
    """Say in one line what a part can't take."""
    try:
        yield
    except UserError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        if memory.ran_out(error):
            raise
        first = (str(error).splitlines() or [type(error).__name__])[0]
        name = type(module).__name__
        raise UserError(f"{setting}: {name} can't take what it gets ({first[:200]}) of {given}") from error

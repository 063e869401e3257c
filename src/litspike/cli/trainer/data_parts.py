"""The parts of a data module as commands take them that train nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Literal

import torch
from lightning import LightningDataModule, Trainer
from torch import Tensor

from litspike.cli.check.sample import check_part
from litspike.export.command import TestPart
from litspike.settings import UserError
from litspike.tasks import Task
from litspike.tasks.batches import check_finite, pair

_STAGES = {"train": "fit", "val": "validate"}
_NAMES = {"train": "training", "val": "validation"}


def first_samples(
    task: Task, data: LightningDataModule, part: Literal["train", "val"], count: int, checkpoint: dict[str, Any]
) -> Tensor:
    """The first samples of a part, [B, *]: what decides something must not be what it is tested on.

    Raises:
        UserError: if there are none, or they don't suit the task.
    """
    _set_up(data, _STAGES[part], checkpoint)
    loader: Any = getattr(data, f"{part}_dataloader")()
    check_part(task, part, loader)
    found: list[Tensor] = []
    for batch in _transferred(data, loader):
        found.append(pair(batch)[0])
        if sum(map(len, found)) >= count:
            break
    if not found:
        raise UserError(f"the {_NAMES[part]} data are empty: the range of each number is taken from them")
    samples = torch.cat(found)[:count]
    check_finite(part, samples)
    return samples


def test_part(trainer: Trainer, task: Task, data: LightningDataModule, checkpoint: dict[str, Any]) -> TestPart:
    """The batches of the test part, as many as the trainer is to take."""
    data.trainer = trainer
    data.prepare_data()
    _set_up(data, "test", checkpoint)
    loader: Any = data.test_dataloader()
    check_part(task, "test", loader)
    limit = trainer.limit_test_batches
    count = limit if isinstance(limit, int) else None if limit == 1.0 else max(int(len(loader) * limit), 1)
    return TestPart(_transferred(data, islice(loader, count)), count is None)


def _set_up(data: LightningDataModule, stage: str, checkpoint: dict[str, Any]) -> None:
    """Set data up for a stage as a trainer would: what they learned from the training part is in the checkpoint."""
    data.setup(stage)
    if (learned := checkpoint.get(type(data).__qualname__)) is not None:
        data.load_state_dict(learned)


def _transferred(data: LightningDataModule, batches: Iterable[Any]) -> Iterator[Any]:
    """Batches as a trainer would give them to the task."""
    return (data.on_after_batch_transfer(data.on_before_batch_transfer(batch, 0), 0) for batch in batches)

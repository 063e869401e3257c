"""Batches of binned recordings: their order, their workers, and how they come back after an interruption."""

from __future__ import annotations

import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from litspike import UserError
from litspike.data.events.binning import CELL, Cells
from litspike.data.events.loader import Loader, Samples, loader
from litspike.data.loading import Share
from litspike.data.tensors import Batches

SIZE = 23


class Counting:
    """Recording i holds i + 1 events in cell i."""

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, index: int) -> Cells:
        return np.array([(index, index + 1)], CELL)


class Broken(Counting):
    def __getitem__(self, index: int) -> Cells:
        raise UserError("file 7 can't be read: it is empty")


def samples(clip: int | None = None) -> Samples:
    return Samples(Counting(), np.arange(SIZE) % 5, np.arange(SIZE), (SIZE, 1), clip)


def test_batches_hold_counts_and_labels_in_their_order():
    batches = list(loader(samples(), 10, 0, seed=None))
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    assert [len(batch[0]) for batch in batches] == [10, 10, 3]
    assert torch.equal(x, torch.diag(torch.arange(1.0, SIZE + 1)).unsqueeze(2))
    assert torch.equal(y, torch.arange(SIZE) % 5)


def test_a_length_ends_with_the_last_event():
    counted = Samples(Counting(), np.arange(SIZE) % 5, np.arange(SIZE), (SIZE, 1), None, lengths=True)
    batches = list(loader(counted, 10, 0, seed=None))
    assert torch.equal(torch.cat([third["lengths"] for _, _, third in batches]), torch.arange(SIZE) + 1)
    x, _, third = counted[3]
    assert (x.nonzero()[-1, 0] + 1, third["lengths"]) == (4, 4)


@pytest.mark.parametrize(("clip", "largest"), [(1, 1), (4, 4), (None, SIZE)])
def test_counts_above_the_clip_become_it(clip: int | None, largest: int):
    (x, _), *_ = loader(samples(clip), SIZE, 0, seed=None)
    assert x.max() == largest
    assert x.sum() == sum(min(i, largest) for i in range(1, SIZE + 1))


def order(batches: Loader) -> list[int]:
    return torch.cat([x.sum((1, 2)) for x, _ in batches]).int().tolist()


def test_an_epoch_shows_every_sample_once_in_an_order_of_its_own():
    batches = loader(samples(), 4, 0, seed=1)
    orders = []
    for epoch in (0, 1, 0):
        batches.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        orders.append(order(batches))
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(1, SIZE + 1))
    assert orders[0] != order(loader(samples(), 4, 0, seed=2))


@pytest.mark.parametrize("workers", [0, 1])
def test_the_order_is_drawn_at_the_first_batch_not_before(workers: int):
    batches = loader(samples(), 4, workers, seed=1)
    iterator = iter(batches)
    batches.sampler.set_epoch(5)  # type: ignore[attr-defined]
    early, late = next(iterator), next(iter(loader_at(5)))
    assert torch.equal(early[0], late[0])


def loader_at(epoch: int) -> Loader:
    batches = loader(samples(), 4, 0, seed=1)
    batches.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
    return batches


def test_loading_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    list(loader(samples(), 4, 0, seed=1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_mistake_met_by_a_worker_is_one_line(workers: int):
    broken = Samples(Broken(), np.zeros(SIZE, np.int64), np.arange(SIZE), (SIZE, 1), None)
    batches = loader(broken, 4, workers, seed=None)
    with pytest.raises(UserError, match=r"^file 7 can't be read: it is empty$"):
        list(batches)
    gone = weakref.ref(batches)
    del batches
    assert gone() is None, "in a cycle it would keep its workers, for which torch waits 10 s"


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_that_was_left_early_changes_none_after_it(workers: int):
    batches = loader(samples(), 4, workers, seed=1)
    for _ in batches:
        break
    batches.sampler.set_epoch(5)  # type: ignore[attr-defined]
    assert order(batches) == order(loader_at(5))


class Watching(LightningModule):
    """Notes which samples each training batch held."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen: list[list[int]] = []

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        self.seen.append(batch[0].sum((1, 2)).int().tolist())
        return self.weight * 1

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("ignore")
def test_a_resumed_run_sees_the_batches_of_one_never_interrupted(workers: int, tmp_path: Path):
    def fit(epochs: int, checkpoint: Path | None = None) -> tuple[Watching, Trainer]:
        model = Watching()
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = Trainer(accelerator="cpu", max_epochs=epochs, enable_checkpointing=False, **quiet)  # type: ignore[arg-type]
        trainer.fit(model, loader(samples(), 4, workers, seed=1), ckpt_path=checkpoint)
        return model, trainer

    whole, _ = fit(3)
    first, trainer = fit(1)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    rest, _ = fit(3, tmp_path / "one.ckpt")
    assert first.seen + rest.seen == whole.seen
    assert whole.seen[:6] != whole.seen[6:12] != whole.seen[12:]


@pytest.mark.parametrize(("workers", "seed"), [(0, 1), (2, 1), (0, None)])
def test_a_run_goes_on_inside_an_epoch_with_the_batches_that_are_left(workers: int, seed: int | None, tmp_path: Path):
    def fit(checkpoint: Path | None = None) -> list[list[int]]:
        model, kept = Watching(), ModelCheckpoint(tmp_path, "{step}", save_top_k=-1, every_n_train_steps=4)
        trainer = Trainer(
            accelerator="cpu", max_epochs=3, logger=False, enable_progress_bar=False, enable_model_summary=False,
            callbacks=[kept],
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message="You're resuming from a checkpoint")
            trainer.fit(model, loader(samples(), 4, workers, seed), ckpt_path=checkpoint)
        return model.seen

    whole = fit()
    assert len(whole) == 18
    for done in (4, 8):  # six batches an epoch
        assert fit(tmp_path / f"step={done}.ckpt") == whole[done:]


@pytest.mark.parametrize("state", [{}, None, [1], {"epoch": 0, "batches": -1}, {"epoch": 0, "batches": "2"}])
@pytest.mark.parametrize("batches", [loader(samples(), 4, 0, 1), Batches(TensorDataset(torch.zeros(4, 2)), 2, 1)])
def test_a_state_that_says_nothing_of_batches_is_a_line(batches: Any, state: Any):
    with pytest.raises(UserError, match="doesn't say which batches were given"):
        batches.load_state_dict(state)


@pytest.mark.filterwarnings("ignore")
def test_prediction_sees_every_sample_in_order():
    class Echo(Watching):
        def predict_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            return batch[0].sum((1, 2))

    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    seen = trainer.predict(Echo(), loader(samples(), 4, 0, seed=None))
    assert torch.cat(seen).tolist() == list(range(1, SIZE + 1))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])
def test_processes_share_the_batches_of_one(ranks: int):
    one = loader(samples(), 2 * ranks, 0, seed=1)
    shares = [loader(samples(), 2, 0, seed=1, share=Share(rank, ranks)) for rank in range(ranks)]
    for batches in (one, *shares):
        batches.sampler.set_epoch(5)  # type: ignore[attr-defined]
    seen = [[x.sum((1, 2)).int().tolist() for x, _ in batches] for batches in shares]
    assert len({len(batches) for batches in shares}) == 1
    together = [sorted(i for batch in batches for i in batch) for batches in zip(*seen, strict=True)]
    assert together == [sorted(x.sum((1, 2)).int().tolist()) for x, _ in one]


def test_processes_evaluate_no_sample_twice():
    shares = [loader(samples(), 4, 0, seed=None, share=Share(rank, 2)) for rank in range(2)]
    assert sorted(order(shares[0]) + order(shares[1])) == list(range(1, SIZE + 1))
    assert [len(share.sampler) for share in shares] == [12, 11]  # type: ignore[arg-type]

"""Sequences of different lengths: what a batch is padded with changes nothing, and each is as it is alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from litspike import LIF, LeakyIntegratorReadout, MeanOverTime, Perceptron, UserError
from litspike.coding import DeltaModulation, EveryStep, FirstSpike, LinearOfRates, TimeFirst
from litspike.data.tensors import Batches
from litspike.metrics import Firing, Operations
from litspike.tasks import (
    CarriedClassification,
    Classification,
    CrossEntropy,
    RateBand,
    Regression,
    Task,
    TemporalCrossEntropy,
)
from litspike.tasks.batches import pair, unpack, without_padding

LENGTHS = torch.tensor([5, 12, 1, 9])
READOUTS: dict[str, Any] = {
    "mean": MeanOverTime,
    "leaky mean": lambda: LeakyIntegratorReadout("mean"),
    "leaky max": lambda: LeakyIntegratorReadout("max"),
    "leaky last": lambda: LeakyIntegratorReadout("last"),
    "first spike": lambda: FirstSpike(LIF(threshold=0.3)),
}


def sequences(padding: float, steps: int = 12, features: int = 3) -> Tensor:
    x = torch.randn(4, 12, features, generator=torch.Generator().manual_seed(0)) * 3
    x = torch.nn.functional.pad(x, (0, 0, 0, steps - 12))
    outside = torch.arange(steps) >= LENGTHS[:, None]
    return x.masked_fill(outside[..., None], padding)


def task(kind: type[Task], readout: Any, encoder: Any = None, outputs: int = 2, **more: Any) -> Any:
    torch.manual_seed(1)
    inputs = 6 if isinstance(encoder, DeltaModulation) else 3
    return kind(Perceptron([inputs, 8, outputs], LIF()), encoder or TimeFirst(), readout, **more)  # type: ignore[arg-type]


def result(made: Task, x: Tensor, y: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """Values, loss, gradient and metrics of one batch."""
    made.zero_grad()
    values, outputs = made.answer(x, lengths)
    loss = made.loss_of(values, outputs, y, lengths)
    loss.backward()
    made.val_metrics.add(loss, *without_padding(values, y, lengths), last=True)
    metrics = made.val_metrics.close()[0]
    gradient = torch.cat([parameter.grad.flatten() for parameter in made.parameters() if parameter.grad is not None])
    return {"values": values, "loss": loss, "gradient": gradient, **metrics}


@pytest.mark.parametrize("encoder", [None, DeltaModulation(1.0)])
@pytest.mark.parametrize("readout", [*READOUTS, "rates"])
@pytest.mark.parametrize("loss", [CrossEntropy, TemporalCrossEntropy, lambda: CrossEntropy([0.5, 2.0])])
def test_what_a_batch_is_padded_with_and_how_far_changes_nothing(readout: str, encoder: Any, loss: Any):
    read = LinearOfRates(2, 2) if readout == "rates" else READOUTS[readout]()  # in training, by all of the batch
    made, y = task(Classification, read, encoder, loss=loss()), torch.tensor([0, 1, 1, 0])
    expected = result(made, sequences(0.0), y, LENGTHS)
    assert expected["gradient"].abs().sum() > 0
    for padding, steps in ((7.0, 12), (-3.0, 20)):
        found = result(made, sequences(padding, steps), y, LENGTHS)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, msg=name)


@pytest.mark.parametrize("readout", READOUTS)
def test_each_sequence_is_answered_as_it_is_alone(readout: str):
    made = task(Classification, READOUTS[readout](), loss=CrossEntropy())
    together = made(sequences(5.0), LENGTHS)
    for index, (x, length) in enumerate(zip(sequences(0.0), LENGTHS, strict=True)):
        torch.testing.assert_close(together[index], made(x[None, :length])[0])


def test_targets_at_every_step_count_inside_each_sequence_alone():
    made = task(Regression, EveryStep(), outputs=1)
    y = torch.randn(4, 12, 1)
    expected = result(made, sequences(0.0), y, LENGTHS)
    for padding in (4.0, -9.0):
        y = y.masked_fill((torch.arange(12) >= LENGTHS[:, None])[..., None], padding)
        found = result(made, sequences(padding), y, LENGTHS)
        for name in ("loss", "gradient", "mae", "rmse"):
            torch.testing.assert_close(found[name], expected[name], msg=name)
    alone = [made(x[None, :n])[0, :, 0] - t[:n, 0] for x, t, n in zip(sequences(0.0), y, LENGTHS, strict=True)]
    torch.testing.assert_close(expected["loss"], torch.stack([error.square().mean() for error in alone]).mean())
    torch.testing.assert_close(expected["mae"], torch.stack([error.abs().mean() for error in alone]).mean())


def test_metrics_take_batches_of_different_numbers_of_steps():
    made = task(Regression, EveryStep(), outputs=1)
    values, targets = torch.randn(4, 12, 1), torch.zeros(4, 12, 1)
    for samples in (slice(0, 1), slice(1, 4)):
        most = int(LENGTHS[samples].max())
        made.val_metrics.add(
            torch.tensor(1.0), *without_padding(values[samples, :most], targets[samples, :most], LENGTHS[samples])
        )
    expected = np.mean([value[:length].abs().mean() for value, length in zip(values, LENGTHS, strict=True)])
    assert float(made.val_metrics.close()[0]["mae"]) == pytest.approx(expected)


def test_a_rate_is_that_of_the_steps_inside():
    spikes = (torch.rand(12, 4, 5) < 0.4).float()
    inside = torch.arange(12)[:, None] < LENGTHS
    rate = spikes[inside].mean(0)
    band = RateBand(0.0, 0.1)
    torch.testing.assert_close(band([spikes], LENGTHS), (rate - 0.1).clamp(min=0).square().mean())
    firing = Firing(5)
    firing.update(spikes, inside)
    assert float(firing.compute()["rate"]) == pytest.approx(float(rate.mean()))
    full = Firing(1)
    full.update(inside.float()[..., None], inside)
    assert float(full.compute()["saturated"]) == 1


def test_operations_are_those_of_the_steps_inside():
    made = task(Classification, MeanOverTime(), loss=CrossEntropy()).eval()
    together, alone = Operations(made.network, 12), Operations(made.network, 12)
    with together.counted(4, torch.arange(12)[:, None] < LENGTHS):
        made.network(TimeFirst()(sequences(2.0)))
    for x, length in zip(sequences(0.0), LENGTHS, strict=True):
        each = Operations(made.network, int(length))
        with each.counted(1):
            made.network(TimeFirst()(x[None, :length]))
        alone.update(torch.nn.functional.pad(each.counts, (0, 0, 0, 12 - int(length))), 1)
    assert torch.equal(together.counts, alone.counts)
    assert together.counts.sum() > 0


def test_training_batches_end_with_their_longest_sequence_and_others_do_not():
    data = torch.utils.data.TensorDataset(sequences(0.0), torch.zeros(4), LENGTHS)
    for x, _, third in Batches(data, 1, seed=3):
        assert x.shape[1] == third["lengths"].max()
    assert {x.shape[1] for x, _, _ in Batches(data, 1)} == {12}


def test_a_third_tensor_is_not_taken_for_lengths():
    with pytest.raises(UserError, match="a batch is a tuple of 3"):
        unpack((torch.zeros(2, 3), torch.zeros(2), torch.ones(2, dtype=torch.int64)))
    with pytest.raises(UserError, match="this needs sequences of one length"):
        pair((torch.zeros(2, 3, 1), torch.zeros(2), {"lengths": LENGTHS[:2]}))
    carried = task(CarriedClassification, MeanOverTime(), outputs=1)
    with pytest.raises(UserError, match="no one end"):
        carried(sequences(0.0), LENGTHS)

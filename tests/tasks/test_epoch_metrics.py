"""Metrics that a user chooses: the whole epoch's, whatever its batches; gone on with; refused before training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics
from torch import Tensor
from torchmetrics.classification import BinaryAUROC, BinaryF1Score, BinaryROC, MulticlassF1Score, MulticlassRecall

from litspike import LIF, ConstantCurrent, MeanOverTime, Perceptron, SettingError, UserError
from litspike.tasks import Classification, CrossEntropy, Regression, Task


def task(metrics: dict[str, Any], kind: type[Task] = Classification, outputs: int = 1, **more: Any) -> Any:
    return kind(Perceptron([2, 4, outputs], LIF()), ConstantCurrent(4), MeanOverTime(), metrics=metrics, **more)  # type: ignore[arg-type]


def logits_and_labels(samples: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(samples, 1, generator=generator)
    return logits, (logits[:, 0] + torch.randn(samples, generator=generator) > 0).float()


def fed(metrics: Any, logits: Tensor, labels: Tensor, size: int) -> None:
    for value, label in zip(logits.split(size), labels.split(size), strict=True):
        metrics.add(torch.tensor(1.0), value, label)


def f1(predicted: np.ndarray, true: np.ndarray) -> float:
    right = (predicted & true).sum()
    return float(2 * right / (predicted.sum() + true.sum()))


def area(scores: np.ndarray, true: np.ndarray) -> float:
    """The share of pairs of a positive and a negative sample that the scores order right."""
    return float((scores[true][:, None] > scores[~true][None]).mean())


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_metric_is_that_of_the_whole_epoch_whatever_its_batches(size: int):
    metrics = task({"f1": BinaryF1Score(), "auroc": BinaryAUROC()}).val_metrics
    logits, labels = logits_and_labels(1000)
    logits, labels = logits.sort(0).values, labels  # of small batches all logits lie in [0, 1], as probabilities do
    for _ in range(2):
        fed(metrics, logits, labels, size)
        found, samples = metrics.close()
        true = labels.numpy() == 1
        assert samples == 1000
        assert float(found["f1"]) == pytest.approx(f1(logits[:, 0].numpy() > 0, true))
        assert float(found["auroc"]) == pytest.approx(area(logits[:, 0].sigmoid().numpy(), true), abs=1e-6)


def test_a_metric_of_two_classes_gets_both_from_one_logit():
    metrics = task({"recall": MulticlassRecall(2, average=None)}).val_metrics
    logits, labels = logits_and_labels(50)
    fed(metrics, logits, labels, 20)
    found, _ = metrics.close()
    predicted, true = logits[:, 0].numpy() > 0, labels.numpy() == 1
    assert float(found["recall_0"]) == pytest.approx((~predicted[~true]).mean())
    assert float(found["recall_1"]) == pytest.approx(predicted[true].mean())


def test_a_metric_of_a_regression_gets_a_row_for_each_step():
    metrics = task({"r2": torchmetrics.R2Score()}, Regression).val_metrics
    values, targets = torch.randn(10, 3, 1) + 5000, torch.randn(10, 3, 1) + 5000  # far from 0
    metrics.add(torch.tensor(1.0), values, targets, last=True)
    found, _ = metrics.close()
    y, t = values.flatten().double().numpy(), targets.flatten().double().numpy()
    assert float(found["r2"]) == pytest.approx(1 - ((y - t) ** 2).sum() / ((t - t.mean()) ** 2).sum(), rel=1e-5)


def test_an_epoch_that_was_cut_short_goes_on_with_its_metrics():
    logits, labels = logits_and_labels(300)
    whole, cut, again = (task({"f1": BinaryF1Score(), "auroc": BinaryAUROC()}).train_metrics for _ in range(3))
    fed(whole, logits, labels, 10)
    fed(cut, logits[:130], labels[:130], 10)
    state = cut.state()
    fed(cut, logits[130:], labels[130:], 10)  # what goes on is not in the state
    again.restore(state)
    fed(again, logits[130:], labels[130:], 10)
    assert cut.close() == again.close() == whole.close()


@pytest.mark.parametrize("kind", [Classification, Regression])
def test_a_checkpoint_inside_an_epoch_keeps_the_metrics(kind: type[Task]):
    cut, again = task({}, kind), task({}, kind)
    cut.train_metrics.add(torch.tensor(0.5), torch.ones(4, 1), torch.zeros(4))
    checkpoint: dict[str, Any] = {"state_dict": {}, "epoch": 0}
    cut.on_save_checkpoint(checkpoint)
    again.on_load_checkpoint(checkpoint)
    found, samples = again.train_metrics.close()
    assert (float(found["loss"]), samples) == (0.5, 4)


@pytest.mark.parametrize("name", ["loss", "accuracy", "learning_rate", "a/b", "a.b", "", "1st"])
def test_a_name_that_is_taken_or_none_is_refused(name: str):
    with pytest.raises(SettingError, match=r"^metrics: "):
        task({name: BinaryF1Score()})


def test_stages_do_not_share_a_metric():
    given = BinaryF1Score()
    made = task({"f1": given})
    fed(made.train_metrics, *logits_and_labels(200), 1)
    assert not made.val_metrics.close()[0]
    assert not given.update_called


@pytest.mark.parametrize(
    ("metric", "outputs", "said"),
    [
        (MulticlassF1Score(5), 3, r"model\.metrics\.f1: MulticlassF1Score can't take .*number of classes"),
        (BinaryF1Score(), 3, r"model\.metrics\.f1: BinaryF1Score can't take .*same shape"),
        (BinaryROC(), 1, r"model\.metrics\.f1: BinaryROC gives a tuple; a metric is a number"),
    ],
)
def test_a_metric_that_does_not_suit_the_task_is_refused_in_a_line(metric: Any, outputs: int, said: str):
    loss = {"loss": CrossEntropy()} if outputs > 1 else {}
    metrics = task({"f1": metric}, outputs=outputs, **loss).test_metrics
    with pytest.raises(UserError, match=said):
        metrics.check(torch.randn(1, outputs).expand(4, -1), torch.zeros(4))
    assert not metrics.metrics[0].update_called


def test_a_metric_that_suits_the_task_is_left_as_it_was():
    metrics = task({"auroc": BinaryAUROC()}).test_metrics
    metrics.check(torch.zeros(4, 1), torch.zeros(4))
    assert not metrics.metrics[0].update_called

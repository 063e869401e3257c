"""Losses, against their equations in NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from litspike.settings import SettingError, UserError
from litspike.tasks import (
    BinaryCrossEntropy,
    CrossEntropy,
    MeanSquaredError,
    MultiLabelCrossEntropy,
    TemporalCrossEntropy,
)

CLASS_LOSSES = [BinaryCrossEntropy(), CrossEntropy(), TemporalCrossEntropy()]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels(samples: int, classes: int) -> torch.Tensor:
    return torch.randint(0, classes, (samples,), generator=torch.Generator().manual_seed(1))


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bool])
def test_binary_cross_entropy_is_the_equation(dtype: torch.dtype):
    outputs, y = normal(5, 9, 1), labels(9, 2)
    value = outputs.mean(0)
    p = 1 / (1 + np.exp(-value.numpy()[:, 0]))
    loss = BinaryCrossEntropy()
    expected = -np.mean(np.where(y.numpy() == 1, np.log(p), np.log(1 - p)))
    assert loss(value, outputs, y.to(dtype)).item() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(loss.probabilities(value).numpy(), p, rtol=1e-12)
    np.testing.assert_array_equal(loss.predictions(value).numpy(), p > 0.5)
    loss.check(value.shape, y.to(dtype))


def test_binary_cross_entropy_stays_finite_for_large_logits():
    loss = BinaryCrossEntropy()(torch.tensor([[800.0], [-800.0]]), torch.zeros(1, 2, 1), torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(800)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.uint8])
def test_cross_entropy_is_the_equation(dtype: torch.dtype):
    outputs, y = normal(5, 9, 4), labels(9, 4)
    value = outputs.mean(0)
    p = softmax(value.numpy())
    loss = CrossEntropy()
    expected = -np.mean(np.log(p[np.arange(9), y.numpy()]))
    assert loss(value, outputs, y.to(dtype)).item() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(loss.probabilities(value).numpy(), p, rtol=1e-12)
    np.testing.assert_array_equal(loss.predictions(value).numpy(), p.argmax(1))
    loss.check(value.shape, y.to(dtype))


@pytest.mark.parametrize(("share", "level"), [(0.0, 1.0), (0.3, 0.5), (1.0, -2.0)])
@pytest.mark.parametrize("steps", [1, 5])
def test_temporal_cross_entropy_is_the_equation(share: float, level: float, steps: int):
    outputs, y = normal(steps, 9, 4), labels(9, 4)
    per_step = [-np.mean(np.log(softmax(o)[np.arange(9), y.numpy()])) for o in outputs.numpy()]
    pull = [np.mean((o - level) ** 2) for o in outputs.numpy()]
    expected = (1 - share) * np.mean(per_step) + share * np.mean(pull)
    loss = TemporalCrossEntropy(share, level)(outputs.mean(0), outputs, y)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_temporal_cross_entropy_has_the_closed_forms_gradient():
    outputs, y = normal(5, 9, 4).requires_grad_(), labels(9, 4)
    TemporalCrossEntropy(0.2, 0.5)(outputs.mean(0), outputs, y).backward()
    o = outputs.detach().numpy()
    expected = 0.8 * (softmax(o) - np.eye(4)[y.numpy()]) / 45 + 0.2 * 2 * (o - 0.5) / o.size
    np.testing.assert_allclose(outputs.grad.numpy(), expected, rtol=1e-10, atol=1e-15)


def test_outputs_that_are_one_tensor_at_every_step_are_taken():
    outputs, y = normal(1, 9, 4).expand(5, 9, 4), labels(9, 4)
    loss = TemporalCrossEntropy(0.0)(outputs.mean(0), outputs, y)
    assert loss.item() == pytest.approx(CrossEntropy()(outputs[0], outputs, y).item(), rel=1e-12)


@pytest.mark.parametrize("weight", [1.0, 1e6])
@pytest.mark.parametrize("shape", [(9, 1), (9, 3), (9, 2, 2)])
def test_mean_squared_error_is_the_equation(shape: tuple[int, ...], weight: float):
    value, target = normal(*shape).requires_grad_(), normal(*shape, seed=1)
    loss = MeanSquaredError(weight)
    loss.check(value.shape, target)
    result = loss(value, value[None], target)
    difference = (value - target).detach().numpy()
    assert result.item() == pytest.approx(weight * np.mean(difference**2), rel=1e-12)
    result.backward()
    np.testing.assert_allclose(value.grad.numpy(), 2 * weight * difference / difference.size, rtol=1e-12)


def test_mean_squared_error_weighs_sequences_of_different_lengths():
    outputs, target, lengths = normal(5, 3, 1), normal(3, 5, 1, seed=1), torch.tensor([5, 2, 1])
    value = outputs.transpose(0, 1)
    each = [np.mean((value - target).numpy()[row, :steps] ** 2) for row, steps in enumerate(lengths)]
    assert MeanSquaredError(3.0)(value, outputs, target, lengths).item() == pytest.approx(3 * np.mean(each), rel=1e-12)


def test_a_weight_lets_lbfgs_go_on_where_errors_are_small():
    x = torch.linspace(0, 1, 60, dtype=torch.float64)[:, None] ** torch.arange(10)
    target = 1e-6 * torch.sin(9 * x[:, 1:2])
    errors = []
    for loss in (MeanSquaredError(), MeanSquaredError(1e12)):
        weights = torch.zeros(10, 1, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weights], max_iter=300, tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe"
        )

        def closure(loss=loss, weights=weights, optimizer=optimizer) -> torch.Tensor:
            optimizer.zero_grad()
            result = loss(x @ weights, x @ weights[None], target)
            result.backward()
            return result

        optimizer.step(closure)
        errors.append((x @ weights - target).square().mean().item())
    best = (x @ torch.linalg.lstsq(x, target).solution - target).square().mean().item()
    assert errors[0] > 100 * best
    assert errors[1] < 10 * best


@pytest.mark.parametrize("weight", [0.0, -1.0, math.inf])
def test_a_weight_of_mean_squared_error_that_is_not_positive_is_refused(weight: float):
    with pytest.raises(SettingError, match=r"^weight: "):
        MeanSquaredError(weight)


def test_one_value_a_sample_takes_targets_without_a_dimension_of_their_own():
    value, target = normal(9, 1), normal(9, seed=1)
    MeanSquaredError().check(value.shape, target)
    expected = np.mean((value.numpy()[:, 0] - target.numpy()) ** 2)
    assert MeanSquaredError()(value, value[None], target).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", [*CLASS_LOSSES, MeanSquaredError()], ids=lambda loss: type(loss).__name__)
def test_single_precision_gives_a_single_precision_scalar(loss):
    width = 1 if isinstance(loss, BinaryCrossEntropy | MeanSquaredError) else 3
    result = loss(torch.zeros(4, width), torch.zeros(2, 4, width), torch.zeros(4, dtype=torch.float64))
    assert (result.shape, result.dtype) == ((), torch.float32)


@pytest.mark.parametrize(
    ("loss", "shape", "message"),
    [
        (BinaryCrossEntropy(), (3, 2), "the network gives [2] outputs a sample; two classes need one logit"),
        (BinaryCrossEntropy(), (3,), "the network gives [] outputs a sample; two classes need one logit"),
        (CrossEntropy(), (3, 1), "the network gives [1] outputs a sample; classes need one each, 2 or more"),
        (CrossEntropy(), (3, 4, 2), "the network gives [4, 2] outputs a sample; classes need one each, 2 or more"),
        (MeanSquaredError(), (3, 2), "the network gives [2] values a sample; the targets are [1]"),
        (CrossEntropy(), (4, 2), "the targets are [3]; 4 samples need one each"),
        (MeanSquaredError(), (4, 1), "the targets are [3]; 4 samples need one each"),
    ],
)  # fmt: skip
def test_a_wrong_number_of_outputs_is_told_in_one_line(loss, shape: tuple[int, ...], message: str):
    with pytest.raises(UserError) as caught:
        loss.check(torch.Size(shape), torch.zeros(3))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("given", "wanted", "remedy"),
    [
        ((3, 1), (3, 50, 1), ", those of every step: the readout litspike.coding.EveryStep gives a value for each"),
        ((3, 50, 1), (3, 1), ", one set a sample: take a readout that gives one, such as "),
        ((3, 50, 1), (3, 50, 2), ""),
        ((3, 50, 1), (3, 49, 1), ""),
    ],
)
def test_targets_and_values_of_which_one_is_of_every_step_are_told_the_readout(
    given: tuple[int, ...], wanted: tuple[int, ...], remedy: str
):
    with pytest.raises(UserError) as caught:
        MeanSquaredError().check(torch.Size(given), torch.zeros(wanted))
    line = f"the network gives {list(given[1:])} values a sample; the targets are {list(wanted[1:])}{remedy}"
    assert str(caught.value).startswith(line)
    assert str(caught.value) == line or remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("loss", "target", "message"),
    [
        (BinaryCrossEntropy(), [0, 1, 2], "the label 2 is not one of 0 to 1: one logit tells two classes"),
        (BinaryCrossEntropy(), [0, 1, -1], "the label -1 is not one of 0 to 1"),
        (BinaryCrossEntropy(), [0, 0.5, 1], "the label 0.5 is not an integer"),
        (CrossEntropy(), [1, 2, 3], "the label 3 is not one of 0 to 2: the network gives 3 outputs a sample"),
        (CrossEntropy(), [-1, 0, 1], "the label -1 is not one of 0 to 2"),
        (CrossEntropy(), [0, math.nan, 1], "the label nan is not an integer"),
        (CrossEntropy(), [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "the labels are [3, 3]; a sample has one class"),
    ],
)
def test_a_label_that_is_no_class_is_told_in_one_line(loss, target: list[float], message: str):
    width = 1 if isinstance(loss, BinaryCrossEntropy) else 3
    with pytest.raises(UserError) as caught:
        loss.check(torch.Size((3, width)), torch.tensor(target))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("loss", [*CLASS_LOSSES, MeanSquaredError()], ids=lambda loss: type(loss).__name__)
def test_an_empty_batch_has_no_loss(loss):
    width = 1 if isinstance(loss, BinaryCrossEntropy | MeanSquaredError) else 3
    with pytest.raises(UserError, match="a batch without samples has no loss"):
        loss.check(torch.Size((0, width)), torch.zeros(0))


@pytest.mark.parametrize(
    ("settings", "setting"), [({"share": -0.1}, "share"), ({"share": 1.1}, "share"), ({"level": math.inf}, "level")]
)
def test_a_setting_out_of_range_is_refused_by_name(settings: dict[str, float], setting: str):
    with pytest.raises(SettingError, match=f"^{setting}: "):
        TemporalCrossEntropy(**settings)


@pytest.mark.parametrize("weights", [[1.0, 3.0, 0.5], "balanced"])
def test_a_weight_multiplies_the_loss_of_each_sample_of_its_class(weights: Any):
    loss = CrossEntropy(class_weights=weights)
    logits, labels = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)), torch.arange(40) ** 2 % 3
    if weights == "balanced":
        counts = labels.bincount(minlength=3)
        with pytest.raises(UserError, match="class 2 has no training sample"):
            loss.balance(counts)
        counts = torch.tensor([10, 70, 20])
        loss.balance(counts)
        weights = [100 / 30, 100 / 210, 100 / 60]
    each = [weights[y] * -z.log_softmax(0)[y] for z, y in zip(logits, labels, strict=True)]
    torch.testing.assert_close(loss(logits, logits[None], labels), torch.stack(each).mean())
    with pytest.raises(UserError, match="there are 3 weights for 4 classes"):
        loss.check(torch.Size([40, 4]), labels)


def test_the_weights_of_two_classes_are_those_of_one_logit():
    one, two = (kind(class_weights=[0.5, 4.0]) for kind in (BinaryCrossEntropy, CrossEntropy))
    logit, labels = torch.randn(20, 1), torch.arange(20) % 2
    both = torch.cat([torch.zeros(20, 1), logit], 1)
    torch.testing.assert_close(one(logit, logit[None], labels.float()), two(both, both[None], labels))


def test_several_labels_have_a_logit_each():
    loss, value = MultiLabelCrossEntropy(), torch.randn(6, 3)
    target = torch.randint(2, (6, 3)).float()
    p = value.sigmoid()
    expected = -(target * p.log() + (1 - target) * (1 - p).log()).mean()
    torch.testing.assert_close(loss(value, value[None], target), expected)
    assert torch.equal(loss.predictions(value), (p > 0.5).long())
    with pytest.raises(UserError, match=r"gives \[2\] outputs a sample; the labels are \[3\]"):
        loss.check(torch.Size([6, 2]), target)
    with pytest.raises(UserError, match="neither 0 nor 1"):
        loss.check(torch.Size([6, 3]), target + 0.5)

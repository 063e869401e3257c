"""What the sound network promises: a start from rest, any batch size, exact metrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from litspike import LIF, ConstantCurrent, MeanOverTime, Perceptron
from litspike.tasks import Classification, CrossEntropy
from litspike.tasks.epoch_metrics import EpochMetrics, Score
from litspike.tasks.nonfinite import NonFiniteLoss

ACCURACY = Score("accuracy", lambda logits, labels: (logits > 0) == (labels > 0))


def sound_module(outputs: int = 1) -> Classification:
    return Classification(Perceptron([2, 10, outputs], LIF()), ConstantCurrent(16), MeanOverTime())


def test_every_forward_pass_starts_from_rest():
    module = sound_module()
    x = torch.randn(10, 2)
    first = module(x)
    module(torch.randn(10, 2))
    assert torch.equal(module(x), first)


@pytest.mark.parametrize("batch", [1, 3, 10, 1001])
def test_a_sample_gets_the_same_logit_in_any_batch(batch: int):
    module = sound_module().double()
    x = torch.randn(batch, 2, dtype=torch.float64)
    alone = torch.stack([module(sample[None])[0] for sample in x[:5]])
    torch.testing.assert_close(module(x)[:5], alone)


@pytest.mark.parametrize("outputs", [1, 3])
def test_losses_and_probabilities_of_bfloat16_outputs_are_those_of_float32(outputs: int):
    module = sound_module(outputs).bfloat16().eval()
    if outputs > 1:
        module.loss = CrossEntropy()
    x, y = torch.randn(50, 2, dtype=torch.bfloat16), torch.arange(50) % 2
    values, all_outputs, _ = module.respond(x)
    assert values.dtype is torch.bfloat16
    expected = module.loss(values.float(), all_outputs.float(), y)
    assert module.loss_of(values, all_outputs, y, None).equal(expected)
    assert module.loss_in_unit(values, all_outputs, y).equal(expected)
    found = module.predict_step((x, y), 0)["probability"]
    torch.testing.assert_close(found, module.loss.probabilities(values.float()))


def test_the_logit_is_the_mean_over_time_of_the_weighted_spikes():
    module = sound_module().double()
    x = torch.randn(6, 2, dtype=torch.float64)
    w1, b1, w2, b2 = (parameter.detach().numpy() for parameter in module.parameters())
    u, outputs = np.zeros((6, 10)), []
    for _ in range(16):
        u = u + x.numpy() @ w1.T + b1
        spikes = (u >= 1.0).astype(float)
        u = u * (1 - spikes) * 0.9
        outputs.append(spikes @ w2.T + b2)
    np.testing.assert_allclose(module(x).detach().numpy(), np.mean(outputs, axis=0), rtol=1e-12)


def test_the_first_layer_learns_through_the_spikes():
    module = sound_module()
    module(torch.randn(50, 2)).sum().backward()
    assert module.network.layers[0].weight.grad.abs().max() > 0


def test_metrics_weigh_every_sample_alike():
    metrics = EpochMetrics([ACCURACY])
    generator = torch.Generator().manual_seed(0)
    losses, rights, sizes = [], [], [10] * 120 + [3]
    for index, size in enumerate(sizes):
        logits = torch.randn(size, generator=generator)
        labels = torch.randint(0, 2, (size,), generator=generator).float()
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
        metrics.add(loss, logits, labels, last=index == len(sizes) - 1)
        losses.append(loss.item() * size)
        rights.append(((logits > 0) == (labels > 0)).sum().item())
    values, samples = metrics.close()
    assert samples == sum(sizes)
    assert values["loss"].item() == pytest.approx(sum(losses) / sum(sizes), rel=1e-5)
    assert values["accuracy"].item() == pytest.approx(sum(rights) / sum(sizes))


def test_metrics_begin_anew_after_an_epoch():
    metrics = EpochMetrics([ACCURACY])
    metrics.add(torch.tensor(5.0), torch.ones(4), torch.zeros(4))
    metrics.close()
    metrics.add(torch.tensor(1.0), torch.ones(2), torch.ones(2))
    values, samples = metrics.close()
    assert (values["loss"].item(), values["accuracy"].item(), samples) == (1.0, 1.0, 2)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_told_with_its_batch(value: float):
    metrics = EpochMetrics([ACCURACY])
    for loss in (0.5, value, 0.4, 0.3):
        metrics.add(torch.tensor(loss), torch.zeros(1), torch.zeros(1))
    with pytest.raises(NonFiniteLoss) as caught:
        metrics.flush()
    assert caught.value.batches_ago == 2

"""The article to the letter, against its NumPy oracle."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from litspike import (
    LIF,
    ConstantCurrent,
    MeanOverTime,
    Perceptron,
    RecurrentNetwork,
    UserError,
    ZeroGradient,
)
from litspike.data import HalfPlane
from litspike.tasks import CarriedClassification
from tests.oracles.article import Adam, Article, train


def article_module() -> CarriedClassification:
    network = Perceptron([2, 10, 1], LIF(decay=0.9, threshold=1.0, surrogate=ZeroGradient()))
    return CarriedClassification(network, ConstantCurrent(1), MeanOverTime())


def oracle_of(module: CarriedClassification, dtype: type) -> Article:
    return Article(*(parameter.detach().numpy().astype(dtype) for parameter in module.parameters()))


def test_spikes_and_logits_are_the_articles_to_the_bit():
    # weights and points on a binary grid make the matrix products exact, whatever the order of their sums
    module = article_module()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-64, 65, parameter.shape, generator=generator) / 64)
    oracle = oracle_of(module, np.float32)
    spikes: list[torch.Tensor] = []
    module.network.layers[1].register_forward_hook(lambda *call: spikes.append(call[2][0]))
    fired = 0.0
    for _ in range(50):
        x = torch.randint(-128, 129, (10, 2), generator=generator) / 64
        expected_spikes, expected_logits = oracle.forward(x.numpy())
        logits = module(x)
        np.testing.assert_array_equal(spikes.pop()[0].detach().numpy(), expected_spikes)
        np.testing.assert_array_equal(logits[:, 0].detach().numpy(), expected_logits)
        np.testing.assert_array_equal(module.carried[0][0].numpy(), oracle.u)
        fired += expected_spikes.mean()
    assert 5 < fired < 45


def test_training_follows_the_articles_update_of_the_weights():
    torch.manual_seed(3)
    module = article_module().double()
    oracle = oracle_of(module, np.float64)
    optimizer, reference = torch.optim.Adam(module.parameters(), lr=0.01), Adam(0.01)
    data = HalfPlane(seed=5)
    data.setup("fit")
    loader = data.train_dataloader()
    for epoch in range(2):
        loader.set_epoch(epoch)
        batches = [(x.double(), y.double()) for x, y in loader]
        train(oracle, [(x.numpy(), y.numpy()) for x, y in batches], reference)
        for x, y in batches:
            loss = torch.nn.functional.binary_cross_entropy_with_logits(module(x)[:, 0], y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    ours = [parameter.detach().numpy() for parameter in module.parameters()]
    for actual, expected in zip(ours, [oracle.w1, oracle.b1, oracle.w2, oracle.b2], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def test_the_carried_membrane_holds_no_graph():
    module = article_module()
    for _ in range(3):
        module(torch.randn(10, 2)).sum().backward()
    assert module.carried[0][0].grad_fn is None


def recurrent_module() -> CarriedClassification:
    torch.manual_seed(0)
    return CarriedClassification(RecurrentNetwork([2, 10, 1], LIF()), ConstantCurrent(3), MeanOverTime())


def test_the_state_of_recurrent_neurons_is_carried_as_one_long_sequence_has_it():
    module = recurrent_module()
    module(torch.randn(4, 2))  # a batch before, so that the carried state is none of rest
    before = module.carried
    batches = torch.randn(5, 4, 2) * 2
    logits = torch.stack([module(x) for x in batches])
    current = batches.repeat_interleave(3, 0)
    outputs, state = module.network(current, before)
    torch.testing.assert_close(logits, outputs.view(5, 3, 4, 1).mean(1))
    neuron, last = module.carried[0]
    assert torch.equal(neuron[0], state[0].neuron.u)
    assert torch.equal(last, state[0].output)
    assert last.any()


def test_the_carried_state_of_recurrent_neurons_holds_no_graph():
    module = recurrent_module()
    for _ in range(3):
        module(torch.randn(10, 2)).sum().backward()
    (neuron,), last = module.carried[0]
    assert neuron.grad_fn is last.grad_fn is None


def test_the_carried_state_of_recurrent_neurons_travels_in_a_checkpoint(tmp_path: Path):
    module = recurrent_module()
    module(torch.randn(10, 2))
    checkpoint: dict[str, Any] = {"epoch": 0}
    module.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, tmp_path / "one.ckpt")
    resumed = recurrent_module()
    resumed.on_load_checkpoint(torch.load(tmp_path / "one.ckpt", weights_only=True))
    x = torch.randn(10, 2)
    assert torch.equal(module(x), resumed(x))
    with pytest.raises(UserError, match="carried over from one of 10"):
        resumed(torch.randn(7, 2))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_steps():
    module = article_module()

    def tensors_after(steps: int) -> int:
        for _ in range(steps):
            module(torch.randn(10, 2)).sum().backward()
        gc.collect()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # looking at every object wakes deprecated ones
            return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    few = tensors_after(5)
    assert tensors_after(45) <= few


def test_another_batch_size_names_cause_and_remedy():
    module = article_module()
    module(torch.randn(10, 2))
    with pytest.raises(UserError, match=r"batch of 7 samples meets the membrane carried over from one of 10; choose"):
        module(torch.randn(7, 2))


def test_the_first_layer_gets_no_gradient_through_the_spike():
    module = article_module()
    module(torch.randn(10, 2)).sum().backward()
    first, last = module.network.layers[0], module.network.layers[2]
    assert first.weight.grad.abs().max() == 0
    assert last.bias.grad.abs().max() > 0

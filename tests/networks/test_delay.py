"""Axonal delays, against NumPy: what is delayed, and what their learning follows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from litspike import LIF, ConstantCurrent, MeanOverTime, Perceptron, SpikingSequential
from litspike.arguments import InputError
from litspike.export.artefact import Refused, Subject
from litspike.export.formats import format_named
from litspike.networks import AxonalDelay, Stream, run_network
from litspike.settings import SettingError
from tests.export.subjects import task_of


def delayed(x: np.ndarray, delays: np.ndarray) -> np.ndarray:
    """[T, B, N] with neuron n's values moved to delays[n] steps later."""
    y = np.zeros_like(x)
    for n, d in enumerate(delays):
        y[d:, :, n] = x[: len(x) - d, :, n]
    return y


@pytest.mark.parametrize("shape", [(7, 3, 5), (1, 1, 5), (12, 2, 5), (3, 0, 5)])
@pytest.mark.parametrize("learn", [False, True])
def test_each_neuron_arrives_after_its_own_rounded_delay(shape: tuple[int, ...], learn: bool):
    times = [0.3, 1.0, 2.6, 4.4, 5.8]
    x = torch.randn(shape, dtype=torch.float64)
    y, _ = AxonalDelay([5], 6, times, learn)(x)
    expected = delayed(x.numpy(), np.minimum([0, 1, 3, 4, 6], shape[0]))
    assert np.array_equal(y.numpy() if not learn else y.detach().numpy(), expected)


def test_images_are_delayed_place_by_place():
    x = torch.randn(9, 2, 2, 3)
    y, state = AxonalDelay([2, 3], 4, [0.0, 1.0, 2.0, 3.0, 4.0, 0.0], learn=False)(x)
    assert state.shape == (2, 4, 2, 3)
    assert np.array_equal(y.flatten(2).numpy(), delayed(x.flatten(2).numpy(), np.array([0, 1, 2, 3, 4, 0])))


def test_the_input_gets_the_gradient_of_the_shift():
    x = torch.randn(8, 2, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(8, 2, 3, dtype=torch.float64)
    (AxonalDelay([3], 5, [0.2, 2.0, 4.9])(x)[0] * weights).sum().backward()
    expected = delayed(weights.flip(0).numpy(), np.array([0, 2, 5]))[::-1]
    assert np.array_equal(x.grad.numpy(), expected)


@pytest.mark.parametrize("width", [0.5, 1.0, 2.5])
def test_a_delay_gets_the_gradient_of_the_signal_that_a_gaussian_has_made_smooth(width: float):
    times = np.array([0.3, 1.2, 2.6, 5.4])
    x = np.random.default_rng(0).normal(size=(20, 3, 4))
    weights = np.random.default_rng(1).normal(size=x.shape)
    layer = AxonalDelay([4], 6, times.tolist(), width=width).double()
    (layer(torch.tensor(x))[0] * torch.tensor(weights)).sum().backward()

    def smooth(n: int, d: float) -> float:
        """Σ_t weight_t Σ_k x_{t−k} G(k − d), over lags near the delay as it is."""
        near, reach = round(times[n]), int(np.ceil(3 * width))
        total = 0.0
        for k in range(max(near - reach, 0), near + reach + 1):
            g = np.exp(-((k - d) ** 2) / (2 * width**2)) / (width * np.sqrt(2 * np.pi))
            for t in range(k, len(x)):
                total += g * (weights[t, :, n] * x[t - k, :, n]).sum()
        return total

    for n, d in enumerate(times):
        slope = (smooth(n, d + 1e-5) - smooth(n, d - 1e-5)) / 2e-5
        by_free = slope * d * (6 - d) / 6  # of 6 · sigmoid(free)
        assert layer.free_delay.grad[n].item() == pytest.approx(by_free, rel=1e-5)


def test_a_delay_is_learned_from_where_its_spikes_are_wanted():
    spikes = (torch.rand(60, 8, 1) < 0.05).float()
    wanted = torch.cat([torch.zeros(9, 8, 1), spikes[:-9]])
    layer = AxonalDelay([1], 20, [4.0], width=2.0)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    membrane = 0.9 ** torch.arange(60.0)
    trace = torch.where(
        torch.arange(60)[:, None] >= torch.arange(60), membrane[torch.arange(60)[:, None] - torch.arange(60)], 0
    )
    for _ in range(100):
        optimizer.zero_grad()
        difference = torch.einsum("ts,sbn->tbn", trace, layer(spikes)[0] - wanted)
        difference.square().mean().backward()
        optimizer.step()
    assert round(layer.delay.item()) == 9


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_pieces_give_the_outputs_states_and_gradients_of_the_whole(steps: int):
    network = Perceptron([3, 6, 2], LIF(), max_delay=5)
    x = torch.randn(23, 4, 3)
    found = []
    for pieces in (23, steps):
        network.zero_grad()
        output, state = run_network(network, x, steps=pieces)
        output.square().sum().backward()
        found.append((output, state[0], state[2], [p.grad.clone() for p in network.parameters()]))
    (whole, *states, gradients), (same, *others, sums) = found
    assert torch.equal(whole, same)
    assert all(torch.equal(a, b) for a, b in zip(states, others, strict=True))
    for a, b in zip(gradients, sums, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_step_by_step_gives_what_the_whole_gives():
    network, x = Perceptron([3, 6, 2], LIF(), max_delay=5), torch.randn(12, 3)
    stream = Stream(network)
    torch.testing.assert_close(torch.stack([stream(step) for step in x]), network(x[:, None])[0][:, 0].detach())


def test_delays_are_drawn_over_their_range_and_are_parameters_only_where_they_are_learned():
    learned, fixed = AxonalDelay([2000], 10), AxonalDelay([2000], 10, learn=False)
    assert [len(parameter) for parameter in learned.parameters()] == [2000]
    assert list(fixed.parameters()) == []
    for layer in (learned, fixed):
        assert layer.delay.min() < 0.1
        assert layer.delay.max() > 9.9
        assert layer.delay.mean().item() == pytest.approx(5, abs=0.3)
    assert torch.equal(AxonalDelay([2000], 10, fixed.delay.tolist(), learn=False).delay, fixed.delay)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"max_delay": 0}, "max_delay: 0 is less than 1"),
        ({"width": 0.0}, "width: 0.0 is outside"),
        ({"delays": [1.0]}, "delays: '1 numbers' is not one for each of the 2 neurons"),
        ({"delays": [1.0, 9.0], "max_delay": 5}, r"delays: 9.0 is outside \[0, 5\]"),
        ({"delays": [0.0, 1.0]}, "delays: 0.0 can't be learned from there"),
    ],
)
def test_impossible_delays_are_refused(settings: dict, line: str):
    with pytest.raises(SettingError, match=f"^{line}"):
        AxonalDelay([2], **settings)


def test_another_shape_and_a_state_of_another_layer_are_refused():
    layer = AxonalDelay([3], 4, learn=False)
    with pytest.raises(InputError, match=r"AxonalDelay is for samples \[3\], not \[2\]"):
        layer(torch.zeros(5, 1, 2))
    with pytest.raises(InputError, match=r"the state is \[1, 2, 3\], of another layer or batch"):
        layer(torch.zeros(5, 1, 3), torch.zeros(1, 2, 3))


def test_an_export_that_has_no_place_for_it_names_the_layer():
    network = SpikingSequential([torch.nn.Linear(2, 3), LIF(), AxonalDelay([3], 2, learn=False), torch.nn.Linear(3, 2)])
    subject = Subject(task_of(network, ConstantCurrent(4), MeanOverTime()), torch.ones(2, 2))
    with pytest.raises(Refused, match=r"layers\.2 \(AxonalDelay\): its state has no place in a step's program"):
        format_named("torch")(subject, "network")


def test_a_configuration_delays_what_goes_into_every_linear(cli, home):
    small = "--trainer.max_epochs 1 --trainer.limit_train_batches 3 --pictures.every 0"
    fitted = cli(f"fit {small} --model.network.max_delay 6")
    assert (fitted.status, fitted.err) == (0, "")
    assert "(53 parameters" in fitted.out  # 41 of the default, 2 delays of the input, 10 of the hidden neurons
    tested = cli("test")
    assert (tested.status, tested.err) == (0, "")
    assert cli("fit --model.network.max_delay -1").error_line.endswith("model.network.max_delay: -1 is less than 0")

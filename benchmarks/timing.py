"""Two small tasks of time, and which neurons and layers learn them: frequencies, and the lag between two spikes.

    python benchmarks/timing.py
    python benchmarks/timing.py --seeds 5 --steps 200

*Frequency*: a sine of 20 or of 28 steps a cycle, of random phase and amplitude, as a current; which is it? Eight
neurons: LIF, adaptive LIF by Euler's method and by the symplectic one (SE-adLIF), and balanced resonate-and-fire, whose
cycles begin spread over 12 to 48 steps. Euler's method is stable up to a coupling of 141, where the others have 520.
*Lag*: two sources, of eight axons each, fire once, one after the other, 4 or 10 steps apart; which is it? 16 LIF
neurons that remember two steps, with and without learned axonal delays before each layer.

Every network has its time constants or delays learned too, the same optimizer, batches and number of steps; accuracies
are of 1000 samples that were drawn for the test.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from litspike import LIF, BalancedResonateAndFire, Perceptron, SymplecticAdaptiveLIF
from litspike.metrics import mean_interval

T = 100
Task = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]


def frequency(
    samples: int, randomness: torch.Generator, cycles: tuple[float, float] = (20.0, 28.0)
) -> tuple[Tensor, Tensor]:
    """Sines [T, B, 1] and which of the two cycles each has, [B]."""
    label = torch.randint(2, (samples,), generator=randomness)
    phase, size = torch.rand(2, samples, generator=randomness)
    cycle = torch.where(label == 0, *cycles)
    wave = torch.sin(2 * math.pi * (torch.arange(T)[:, None] / cycle + phase)) * (0.5 + size)
    return wave[..., None], label


def fast_frequency(samples: int, randomness: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same of cycles of 6 and 8 steps, which need a coupling of about 1600 and 900."""
    return frequency(samples, randomness, (6.0, 8.0))


def lag(samples: int, randomness: torch.Generator) -> tuple[Tensor, Tensor]:
    """Spikes of two sources on eight axons each [T, B, 16], and which of the two lags is between the two, [B]."""
    label = torch.randint(2, (samples,), generator=randomness)
    first = torch.randint(0, T // 2, (samples,), generator=randomness)
    x, row = torch.zeros(T, samples, 16), torch.arange(samples)
    x[first, row, :8] = 1
    x[first + torch.where(label == 0, 4, 10), row, 8:] = 1
    return x, label


class EulerAdaptiveLIF(SymplecticAdaptiveLIF):
    """SE-adLIF but for its method: the adaptation sees the potential of the step before."""

    def step(self, x: Tensor, u: Tensor, w: Tensor, *constants: Tensor) -> tuple[Tensor, ...]:
        decay, gain, taken, fall, coupling, jump, threshold, reset_value = constants
        after = u * decay + self.scaled(x, gain) - w * taken
        s = self.fire(after, threshold)
        return s, self.after_spike(after, s, threshold, reset_value), w * fall + u * coupling + s * jump


def adaptive(neuron: type[SymplecticAdaptiveLIF], coupling: float, spread: float) -> Perceptron:
    """Eight adaptive neurons whose couplings, and with them their cycles, begin spread and are learned."""
    learned = {"coupling": "neuron"}
    spreads = {"coupling": spread}
    return Perceptron(
        [1, 8, 2],
        neuron(tau=11.0, adaptation_tau=130.0, coupling=coupling, learn=learned, spread=spreads),
    )


def resonators() -> Perceptron:
    """Balanced resonate-and-fire neurons; their input counts for a unit of time, which is 100 steps."""
    neuron = BalancedResonateAndFire(frequency=100 / 24, learn={"frequency": "neuron"}, spread={"frequency": 2})
    network = Perceptron([1, 8, 2], neuron)
    first = network.layers[0]
    assert isinstance(first, nn.Linear)
    nn.init.uniform_(first.weight, -20, 20)
    return network


NETWORKS: dict[str, tuple[Task, Callable[[], Perceptron]]] = {
    "frequency, LIF": (
        frequency,
        lambda: Perceptron([1, 8, 2], LIF(tau=6.0, learn={"tau": "neuron"}, spread={"tau": 2})),
    ),
    "frequency, adLIF by Euler": (frequency, lambda: adaptive(EulerAdaptiveLIF, 70.0, 2.0)),
    "frequency, SE-adLIF": (frequency, lambda: adaptive(SymplecticAdaptiveLIF, 130.0, 4.0)),
    "fast frequency, LIF": (
        fast_frequency,
        lambda: Perceptron([1, 8, 2], LIF(tau=6.0, learn={"tau": "neuron"}, spread={"tau": 4})),
    ),
    "fast frequency, adLIF by Euler": (fast_frequency, lambda: adaptive(EulerAdaptiveLIF, 70.0, 2.0)),
    "fast frequency, SE-adLIF": (fast_frequency, lambda: adaptive(SymplecticAdaptiveLIF, 1200.0, 2.0)),
    "frequency, BRF": (frequency, resonators),
    "lag, LIF": (lag, lambda: Perceptron([16, 16, 2], LIF(decay=0.5, threshold=0.3))),
    "lag, LIF and delays": (lag, lambda: Perceptron([16, 16, 2], LIF(decay=0.5, threshold=0.3), max_delay=12)),
}


def accuracy(name: str, steps: int, seed: int) -> float:
    """Train one network, and test it."""
    task, make = NETWORKS[name]
    randomness = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = make()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(steps):
        x, label = task(64, randomness)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x)[0].mean(0) * 10, label).backward()
        optimizer.step()
    x, label = task(1000, torch.Generator().manual_seed(10_000 + seed))
    with torch.no_grad():
        return float((network(x)[0].mean(0).argmax(1) == label).float().mean())


def main(args: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="2 or more")
    parser.add_argument("--steps", type=int, default=100, help="of the optimizer")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS], metavar="NETWORK")
    given = parser.parse_args(args)
    print("| task and network | accuracy (95% interval of the mean) | seeds |", "|---|---|---|", sep="\n")
    for name in given.networks:
        values = [accuracy(name, given.steps, seed) for seed in range(given.seeds)]
        low, high = mean_interval(values, most=1.0)
        print(f"| {name} | {sum(values) / len(values):.3f} ({low:.3f} to {high:.3f}) | {given.seeds} |", flush=True)


if __name__ == "__main__":
    main()

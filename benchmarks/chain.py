"""Chains of spiking layers beside those of other libraries, with a surrogate without and one with a finite support.

    LITSPIKE_PEER_NORSE=/tmp/norse/bin/python ... python benchmarks/chain.py
    LITSPIKE_PEER_NORSE=/tmp/norse/bin/python ... python benchmarks/chain.py --repeats 4  # less than five minutes

Three layers: Linear(1000→1000, no bias) and LIF, three times, on 5% input spikes. Readout: 700 inputs at 1 and 30%, two
layers of 1000 LIF and a leaky integrator of 20 outputs, in the shape of the Heidelberg digits. T = 200, B = 32.
Convolutions: 2 channels of 32 × 32 at 5% to 32 and 64 channels, each 3 × 3 with LIF and the maximum of each 2 × 2
behind it, T = 20, B = 16.

Weights such that about 5% of the neuron-steps fire; a random upstream gradient at every step, the gradients of all
weights, a fresh graph for each pass. Each peer runs in an environment of its own, named by LITSPIKE_PEER_<NAME>, on the
same numbers; litspike runs with that peer's settings right before it, and the two must agree. Behind the table stand
the least ratios, those of the peer that comes nearest.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from chain_run import DECAY, Outcome, Times, outcome, tensors
from layer import MATCHES, found_peers, processor

from litspike.engine import spikes
from litspike.neurons import LIF, LeakyIntegrator, Neuron
from litspike.surrogates import Rectangle, Surrogate, Triangle

STEPS, BATCH, OUTPUTS = 200, 32, 20
SPREAD, RATE = 0.5, 0.05  # of the current of a layer, whose spikes are about as many
OUTPUTS_MAY_DIFFER, GRADIENTS_MAY_DIFFER = 1e-3, 3e-2  # share of the spikes, or in norm; in norm
FINITE: dict[str, Surrogate] = dict.fromkeys(MATCHES, Rectangle(1.0)) | {"norse": Triangle(1.0)}


class Chain(NamedTuple):
    """A chain by its name, its number of neurons or of channels, its input spikes, steps and samples, whether a leaky
    readout ends it, and the width and height of its input's channels.
    """

    name: str
    sizes: list[int]
    rate: float
    steps: int
    batch: int
    readout: bool = False
    image: int = 0


def chains(width: int, steps: int, batch: int) -> list[Chain]:
    """The chains of the table."""
    three = Chain("three layers, 5% input", [width] * 4, 0.05, steps, batch)
    inputs = [width * 7 // 10, width, width, OUTPUTS]
    with_readout = [
        Chain(f"two layers and a readout, {rate:.0%} input", inputs, rate, steps, batch, True) for rate in (0.01, 0.3)
    ]
    images = Chain("two convolutions, 5% input", [2, 32, 64], 0.05, max(steps // 10, 1), max(batch // 2, 1), image=32)
    return [three, *with_readout, images]


def problem(chain: Chain, gain: float) -> dict[str, Any]:
    """Input, weights and upstream gradient, always the same; ``gain`` is of the weights before neurons that fire."""
    rng = np.random.default_rng(chain.sizes[0])
    rates = [chain.rate, *[RATE] * (len(chain.sizes) - 2)]
    given: dict[str, Any] = {"layers": len(chain.sizes) - 1, "readout": chain.readout, "recurrent": False}
    space, kernel = ((chain.image,) * 2, (3, 3)) if chain.image else ((), ())
    given["x"] = rng.random((chain.steps, chain.batch, chain.sizes[0], *space), dtype=np.float32) < chain.rate
    for index, (inputs, outputs, rate) in enumerate(zip(chain.sizes, chain.sizes[1:], rates, strict=False)):
        fires = not chain.readout or index < len(rates) - 1
        scale = SPREAD * (gain if fires else 1) / np.sqrt(rate * inputs * np.prod(kernel))
        given[f"weight{index}"] = rng.standard_normal((outputs, inputs, *kernel), dtype=np.float32) * np.float32(scale)
    left = tuple(size // 2 ** given["layers"] for size in space)
    given["upstream"] = rng.standard_normal((chain.steps, chain.batch, chain.sizes[-1], *left), dtype=np.float32)
    return given


def ours(given: dict[str, Any], settings: dict[str, Any], repeats: int, seconds: float) -> Outcome:
    neurons: list[Neuron] = [LIF(decay=DECAY, engine="fused", **settings) for _ in range(given["layers"])]
    if given["readout"]:
        neurons[-1] = LeakyIntegrator(decay=DECAY, engine="fused")
    x, weights, upstream = tensors(given)
    layers = [lambda current, neuron=neuron: neuron(current)[0] for neuron in neurons]
    return outcome(layers, x, weights, upstream, repeats, seconds, spikes)


def theirs(
    peer: str, python: str, kind: str, given: dict[str, Any], repeats: int, seconds: float
) -> tuple[Outcome, str]:
    """Run a peer in its environment; what it did, and its version."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("problem.npz", "result.npz")]
        np.savez(files[0], **given)
        script = Path(__file__).with_name("chain_run.py")
        subprocess.run([python, str(script), peer, kind, *files, str(repeats), str(seconds)], check=True)
        saved = dict(np.load(files[1]))
    if saved["threads"] != torch.get_num_threads():
        print(f"note: {peer} ran on {saved['threads']} threads, litspike on {torch.get_num_threads()}", file=sys.stderr)
    found = [saved[name] for name in sorted(saved) if name.startswith("gradient")]
    return Outcome(Times(*map(float, saved["times"])), saved["output"], found), str(saved["version"])


def agreement(found: Outcome, expected: Outcome, readout: bool) -> str:
    """How far two outcomes lie apart, and whether that is within the tolerance."""
    output = _apart(found.output, expected.output) if readout else float((found.output != expected.output).mean())
    gradient = max(_apart(a, b) for a, b in zip(found.gradients, expected.gradients, strict=True))
    within = output <= (GRADIENTS_MAY_DIFFER if readout else OUTPUTS_MAY_DIFFER) and gradient <= GRADIENTS_MAY_DIFFER
    return f"{'agree' if within else '**DIFFER**'}: {output:.0e}, {gradient:.0e}"


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def compare(chain: Chain, options: argparse.Namespace, peers: dict[str, str]) -> dict[str, float]:
    """Print the lines of one chain, of each surrogate and peer; the least ratio of each surrogate."""
    repeats, seconds = (2, 1.0) if options.quick else (options.repeats, 20.0)
    return beside_peers(chain.name, partial(problem, chain), ours, peers, repeats, seconds)


def beside_peers(
    name: str,
    problem: Callable[[float], dict[str, Any]],
    ours: Callable[[dict[str, Any], dict[str, Any], int, float], Outcome],
    peers: dict[str, str],
    repeats: int,
    seconds: float,
) -> dict[str, float]:
    """Print the lines of a problem, of each surrogate and peer; the least ratio of each surrogate.

    Args:
        name: of the problem.
        problem: makes it, by the gain of its weights.
        ours: does it with litspike, given the problem, settings of LIF, repeats and seconds.
        peers: the Python of each peer.
        repeats: passes.
        seconds: after which no pass is begun.
    """
    least = {}
    for kind in ("default", "finite"):
        ratios = []
        for peer, python in peers.items():
            match = MATCHES[peer]
            settings = match.settings | ({"surrogate": FINITE[peer]} if kind == "finite" else {})
            given = problem(match.gain)
            expected = ours(given, settings, repeats, seconds)
            found, version = theirs(peer, python, kind, given, repeats, seconds)
            ratios.append(found.times.total / expected.times.total)
            cells = [f"{value * 1e3:.1f}" for times in (expected.times, found.times) for value in times]
            surrogate = type(settings["surrogate"]).__name__
            verdict = agreement(found, expected, given["readout"])
            line([name, surrogate, f"{peer} {version}", *cells, f"{ratios[-1]:.1f}", verdict])
        if ratios:
            least[kind] = min(ratios)
    return least


def line(cells: list[str]) -> None:
    """Print a line of the table as soon as it is there."""
    print(f"| {' | '.join(cells)} |", flush=True)


HEAD = [
    *("chain", "surrogate", "peer", "litspike: forward, ms", "backward", "peer: forward", "backward"),
    *("ratio of the totals", "outputs, gradients"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=1000, metavar="N", help="neurons of a layer")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="T")
    parser.add_argument("--batch", type=int, default=BATCH, metavar="B")
    parser.add_argument("--only", default="", metavar="WORD", help="of the chains, those whose names have it")
    parser.add_argument("--peers", nargs="*", default=list(MATCHES), choices=list(MATCHES), help="who is compared")
    parser.add_argument("--repeats", type=int, default=11, help="runs of each, of which the median counts")
    parser.add_argument("--quick", action="store_true", help="few runs, to see that it works")
    options = parser.parse_args()
    print(f"{datetime.date.today()}, {processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    peers = found_peers(options.peers)
    line(HEAD)
    line(["---"] * len(HEAD))
    chosen = [chain for chain in chains(options.width, options.steps, options.batch) if options.only in chain.name]
    least = {chain.name: compare(chain, options, peers) for chain in chosen}
    if peers:
        print("\nBest peer's time ÷ litspike's with the same settings, default surrogate / one of finite support:\n")
    for name, ratios in least.items():
        if ratios:
            print(f"- {name}: {' / '.join(f'{ratio:.1f}' for ratio in ratios.values())}")
    print(
        f"\nThey agree if at most {OUTPUTS_MAY_DIFFER:.0e} of the spikes differ, or a readout by at most "
        f"{GRADIENTS_MAY_DIFFER:.0e} of its norm, and each gradient by at most that: the order of a sum decides the "
        "last bit of a potential, rarely a spike, and then what the layers behind it do."
    )


if __name__ == "__main__":
    main()

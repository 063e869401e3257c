"""A recurrent layer in one kernel over time, beside the plain loop of torch operations that it is, and beside peers.

    LITSPIKE_PEER_NORSE=/tmp/norse/bin/python ... python benchmarks/recurrent.py

Recurrent LIF (decay 0.9, threshold 1) over 500 steps of a batch of 32, forward and backward, with the gradients of
input and connections. Each peer runs in an environment of its own, named by LITSPIKE_PEER_<NAME>: its neurons step by
step, with the product of the last spikes between. litspike runs with that peer's settings right before it, and the two
must agree. Behind the tables stand the least ratios, those of the peer that comes nearest.
"""

from __future__ import annotations

import argparse
import datetime
from functools import partial
from typing import Any

import numpy as np
import torch
from chain import beside_peers, line
from chain_run import DECAY, Outcome, recurrent, tensors
from layer import MATCHES, found_peers, processor
from torch import Tensor, nn

from litspike.neurons import LIF, Recurrent

STEPS, BATCH, SPREAD = 500, 32, 0.4  # and the deviation of the input current, which makes about 3% fire


def problem(size: int, gain: float) -> dict[str, Any]:
    """Input current, connections and upstream gradient, always the same; ``gain`` is of the first two."""
    rng = np.random.default_rng(size)
    shape = (STEPS, BATCH, size)
    return {
        "layers": 1, "recurrent": True, "readout": False,
        "x": rng.standard_normal(shape, dtype=np.float32) * np.float32(SPREAD * gain),
        "weight0": rng.uniform(-gain, gain, (size, size)).astype(np.float32) / np.float32(np.sqrt(size)),
        "upstream": rng.standard_normal(shape, dtype=np.float32),
    }  # fmt: skip


def ours(
    given: dict[str, Any], settings: dict[str, Any], repeats: int, seconds: float, engine: Any = "fused"
) -> Outcome:
    x, (connections,), upstream = tensors(given)
    layer = Recurrent(LIF(decay=DECAY, engine=engine, **settings)).shaped(len(connections))
    assert layer.connections is not None
    layer.connections.weight = nn.Parameter(connections)

    def forward(x: Tensor, _: Tensor) -> Tensor:
        return layer(x)[0]

    return recurrent(forward, x, layer.connections.weight, upstream, repeats, seconds)


def beside_the_loop(size: int, repeats: int, seconds: float) -> list[str]:
    """A row of the first table."""
    given = problem(size, 1.0)
    one, loop = (ours(given, {}, repeats, seconds, engine) for engine in ("fused", "reference"))
    differ = float((one.output != loop.output).mean())
    times = [f"{seconds * 1e3:.1f}" for done in (one, loop) for seconds in (done.times.forward, done.times.total)]
    ratio = loop.times.total / one.times.total
    return [str(size), f"{float(one.output.mean()):.1%}", *times, f"{ratio:.1f}", f"{differ:.0e}"]


HEAD = ["N", "fire", "one kernel: forward, ms", "total", "plain loop: forward", "total", "ratio", "spikes that differ"]
HEAD_OF_PEERS = [
    *("N", "surrogate", "peer", "litspike: forward, ms", "backward", "peer: forward", "backward"),
    *("ratio of the totals", "spikes, gradients"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512], metavar="N", help="neurons")
    parser.add_argument("--peers", nargs="*", default=list(MATCHES), choices=list(MATCHES), help="who is compared")
    parser.add_argument("--repeats", type=int, default=7, help="runs of each, of which the median counts")
    options = parser.parse_args()
    print(f"{datetime.date.today()}, {processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    peers, repeats, seconds = found_peers(options.peers), options.repeats, 10.0
    line(HEAD)
    line(["---"] * len(HEAD))
    for size in options.sizes:
        line(beside_the_loop(size, repeats, seconds))
    if not peers:
        return
    print()
    line(HEAD_OF_PEERS)
    line(["---"] * len(HEAD_OF_PEERS))
    least = {
        size: beside_peers(str(size), partial(problem, size), ours, peers, repeats, seconds) for size in options.sizes
    }
    print("\nBest peer's time ÷ litspike's with the same settings, default surrogate / one of finite support:\n")
    for size, ratios in least.items():
        print(f"- N = {size}: {' / '.join(f'{ratio:.1f}' for ratio in ratios.values())}")


if __name__ == "__main__":
    main()

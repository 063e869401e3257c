"""One spiking layer beside that of other libraries, and beside what the memory allows.

    LITSPIKE_PEER_NORSE=/tmp/norse/bin/python ... python benchmarks/layer.py

Linear(N→N, no bias) and LIF(decay 0.9, threshold 1, hard reset) over 500 steps of a batch of 16; input spikes at 5%,
weights such that 3 to 10% of the neuron-steps fire, a random upstream gradient, a fresh graph for each pass. Each peer
runs in an environment of its own, named by LITSPIKE_PEER_<NAME> (docs/peers.md), on the same input, weights and
upstream gradient; litspike runs with that peer's settings right before it, and the two must agree. Times are medians
after a warm-up. The tables are Markdown, as benchmarks/RESULTS.md keeps them.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import layer_kernel
import numpy as np
import torch
from layer_run import DECAY, Outcome, Times, outcome
from torch import Tensor

from litspike.engine import spikes
from litspike.neurons import LIF
from litspike.surrogates import ArcTan, FastSigmoid, Gaussian

STEPS, BATCH = 500, 16
INPUT_RATE, SPREAD = 0.05, 0.5  # of the input spikes; and of the current, which makes about 5% of the neuron-steps fire
SPIKES_MAY_DIFFER, GRADIENT_MAY_DIFFER = 1e-5, 1e-3  # of all neuron-steps; in norm, relative


class Match(NamedTuple):
    """The settings of LIF that do what the peer does, by how much both get larger weights, and what is to be said."""

    settings: dict[str, Any]
    gain: float = 1.0
    note: str = ""


MATCHES = {
    "spikingjelly": Match({"leak": "before_input", "surrogate": ArcTan(2.0)}, note="multi-step mode"),
    "snntorch": Match(
        {"leak": "before_input", "fires": "above", "detach_reset": True, "surrogate": ArcTan(2.0)},
        note="no gradient passes its reset, unless reset_delay is off, which is slower",
    ),
    "norse": Match(
        {
            **{"leak": "before_input", "input_gain": "one_minus_decay", "fires": "above"},
            "surrogate": FastSigmoid(1.0),
        },
        gain=1 / (1 - DECAY),
        note="its input is scaled by 0.1, so both get weights 10 times as large; it has no arc tangent",
    ),
    "sinabs": Match(
        {"leak": "before_input", "detach_reset": True, "surrogate": Gaussian(0.5)},
        note="SingleSpike, as its default of several spikes a step can't be matched; no gradient passes its reset to "
        "zero; it has no arc tangent",
    ),
}


class Problem(NamedTuple):
    """Input spikes [T, B, N], weight [N, N] and upstream gradient [T, B, N]."""

    x: np.ndarray
    weight: np.ndarray
    upstream: np.ndarray

    def tensors(self) -> list[Tensor]:
        return [torch.from_numpy(array.astype(np.float32, copy=False)) for array in self]


def problem(neurons: int) -> Problem:
    """The problem of this size, always the same."""
    rng = np.random.default_rng(neurons)
    shape = (STEPS, BATCH, neurons)
    weight = rng.standard_normal((neurons, neurons), dtype=np.float32)
    return Problem(
        rng.random(shape, dtype=np.float32) < INPUT_RATE,
        weight * np.float32(SPREAD / np.sqrt(INPUT_RATE * neurons)),
        rng.standard_normal(shape, dtype=np.float32),
    )


def ours(given: Problem, settings: dict[str, Any], repeats: int, seconds: float) -> Outcome:
    neuron = LIF(decay=DECAY, engine="fused", **settings)
    return outcome(
        lambda x: neuron(x)[0],
        *given.tensors(),
        repeats,
        seconds,
        lambda x, w: torch.nn.functional.linear(spikes(x), w),
    )


def theirs(peer: str, python: str, given: Problem, repeats: int, seconds: float) -> tuple[Outcome, str]:
    """Run a peer in its environment; what it did, and its version."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("problem.npz", "result.npz")]
        np.savez(files[0], **given._asdict())
        script = Path(__file__).with_name("layer_run.py")
        subprocess.run([python, str(script), peer, *files, str(repeats), str(seconds)], check=True)
        kept = dict(np.load(files[1]))
    if kept["threads"] != torch.get_num_threads():
        print(f"note: {peer} ran on {kept['threads']} threads, litspike on {torch.get_num_threads()}", file=sys.stderr)
    times = [Times(*map(float, kept[name])) for name in ("layer", "neurons")]
    return Outcome(*times, kept["spikes"], kept["gradient"]), str(kept["version"])


def agreement(found: Outcome, expected: Outcome) -> str:
    """How far two outcomes lie apart, and whether that is within the tolerance."""
    spikes = float((found.spikes != expected.spikes).mean())
    gradient = float(np.linalg.norm(found.gradient - expected.gradient) / np.linalg.norm(expected.gradient))
    verdict = "agree" if spikes <= SPIKES_MAY_DIFFER and gradient <= GRADIENT_MAY_DIFFER else "**DIFFER**"
    return f"{verdict}: {spikes:.0e}, {gradient:.0e}"


def milliseconds(times: Times) -> list[str]:
    return [f"{seconds * 1e3:.1f}" for seconds in (times.forward, times.backward, times.total)]


HEAD = [
    *("N", "library", "forward, ms", "backward", "total", "litspike so set", "ratio"),
    *("neurons alone: forward, ms", "backward", "total", "litspike so set", "ratio", "spikes, gradient"),
]


def compare(sizes: list[int], peers: dict[str, str], repeats: int, seconds: float) -> None:
    """Print the table of litspike and the peers."""
    print(f"## Linear(N→N) and LIF, {STEPS} steps, batch of {BATCH}\n")
    rows, notes, best = [], {}, []
    for size in sizes:
        given = problem(size)
        plain = ours(given, {}, repeats, seconds)
        rate = plain.spikes.mean()
        assert 0.03 <= rate <= 0.1, f"{rate:.1%} of the neuron-steps fire"
        rows.append(
            [str(size), "litspike", *milliseconds(plain.layer), "", "", *milliseconds(plain.neurons), "", "", ""]
        )
        ratios = []
        for peer, python in peers.items():
            match = MATCHES[peer]
            scaled = given._replace(weight=given.weight * np.float32(match.gain))
            expected = ours(scaled, match.settings, repeats, seconds)
            found, version = theirs(peer, python, scaled, repeats, seconds)
            ratios.append([getattr(found, t).total / getattr(expected, t).total for t in ("layer", "neurons")])
            row = [str(size), peer]
            for name, ratio in zip(("layer", "neurons"), ratios[-1], strict=True):
                total = getattr(expected, name).total * 1e3
                row += [*milliseconds(getattr(found, name)), f"{total:.1f}", f"{ratio:.1f}"]
            rows.append([*row, agreement(found, expected)])
            notes[peer] = f"{peer} {version}: {match.note}."
        if ratios:
            least = [min(column) for column in zip(*ratios, strict=True)]
            best.append(f"N = {size}: {least[0]:.1f} times, neurons alone {least[1]:.1f}; {rate:.1%} fire.")
    layer_kernel.table(HEAD, rows)
    if not notes:
        return
    print("\nLeast ratio of a peer's time to litspike's with the same settings:\n")
    print("\n".join(f"- {line}" for line in best))
    print(
        f"\nThey agree if at most {SPIKES_MAY_DIFFER:.0e} of the spikes differ and the gradient of the weights by at "
        f"most {GRADIENT_MAY_DIFFER:.0e} of its norm: the order of a product and a sum decides the last bit of a "
        "potential, and with it, rarely, a spike.\n"
    )
    print("\n".join(f"- {note}" for note in notes.values()))


def processor() -> str:
    """This machine's processor as its maker calls it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


def found_peers(wanted: list[str]) -> dict[str, str]:
    """The Python of each peer that has one."""
    peers = {}
    for peer in wanted:
        variable = f"LITSPIKE_PEER_{peer.upper()}"
        if variable in os.environ:
            peers[peer] = os.environ[variable]
        else:
            print(f"note: {peer} is left out, as {variable} names no Python that has it", file=sys.stderr)
    return peers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 512, 2048], metavar="N", help="neurons")
    parser.add_argument("--peers", nargs="*", default=list(MATCHES), choices=list(MATCHES), help="who is compared")
    parser.add_argument("--only", nargs="+", choices=["peers", *layer_kernel.PARTS], help="parts; all by default")
    parser.add_argument("--quick", action="store_true", help="few runs, to see that it works")
    options = parser.parse_args()
    repeats, seconds = (3, 1.0) if options.quick else (15, 6.0)
    parts: dict[str, Callable[[], None]] = {
        "peers": lambda: compare(options.sizes, found_peers(options.peers), repeats, seconds)
    }
    for name, part in layer_kernel.PARTS.items():
        parts[name] = lambda part=part: part(options.sizes, repeats, seconds)
    print(f"{datetime.date.today()}, {processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    for name in options.only or parts:
        parts[name]()
        print(flush=True)


if __name__ == "__main__":
    main()

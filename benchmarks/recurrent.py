"""A recurrent layer in one kernel over time, beside the plain loop of torch operations that defines it.

    python benchmarks/recurrent.py

Recurrent LIF (decay 0.9, threshold 1), forward and backward, with the gradients of input and connections.
"""

from __future__ import annotations

import argparse
import datetime
import time

import torch
from layer import processor

from litspike.engine.call import Engine
from litspike.neurons import LIF, Recurrent

STEPS, BATCH, SPREAD = 500, 32, 0.4  # and the deviation of the input current, which makes about 3% fire


def least(size: int, engine: Engine, repeats: int) -> tuple[float, float, torch.Tensor]:
    """Least milliseconds of a forward and of a whole pass, and the spikes."""
    torch.manual_seed(0)
    layer = Recurrent(LIF(engine=engine)).shaped(size)
    x = (torch.randn(STEPS, BATCH, size) * SPREAD).requires_grad_()
    upstream = torch.randn(STEPS, BATCH, size)
    runs = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        output, _ = layer(x)
        middle = time.perf_counter()
        torch.autograd.grad(output, [x, *layer.parameters()], upstream)
        runs.append((middle - start, time.perf_counter() - start))
    forward, whole = (min(column) * 1e3 for column in zip(*runs[1:], strict=True))
    return forward, whole, output.detach()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512], metavar="N", help="neurons")
    options = parser.parse_args()
    print(f"{datetime.date.today()}, {processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| N | fire | one kernel: forward, ms | total | plain loop: forward | total | ratio | spikes that differ |")
    print("|---|---|---|---|---|---|---|---|")
    for size in options.sizes:
        forward, total, spikes = least(size, "fused", 7)
        slow_forward, slow, expected = least(size, "reference", 3)
        differ = float((spikes != expected).float().mean())
        times = f"{forward:.1f} | {total:.1f} | {slow_forward:.1f} | {slow:.1f} | {slow / total:.1f}"
        print(f"| {size} | {float(spikes.mean()):.1%} | {times} | {differ:.0e} |", flush=True)


if __name__ == "__main__":
    main()

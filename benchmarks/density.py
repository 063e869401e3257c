"""Products of spikes with a matrix, by events and dense, over densities and sizes.

    python benchmarks/density.py
    python benchmarks/density.py --sizes 512 --rows 8000 --quick

Forward and the gradient of the weight, each on spikes that have not been looked at yet: what lists them is part of the
forward time. `chosen` is what `torch.nn.Linear` on spikes takes by itself, the look at their density included; it must
never take more than 1.05 times the dense product. CSR is torch's own sparse product, its conversion left out.
"""

from __future__ import annotations

import argparse
import datetime
import time
import warnings
from collections.abc import Callable

import torch
from layer import processor
from torch.nn.functional import linear

from litspike.engine import spikes
from litspike.engine.events.product import events, packed, product, weight_gradient

DENSITIES = [0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 1.0]
ALLOWED = 1.05


def best(function: Callable[[], object], seconds: float) -> float:
    """Least milliseconds of a call, after one to warm up."""
    function()
    runs, began = [], time.perf_counter()
    while len(runs) < 5 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        function()
        runs.append(time.perf_counter() - start)
    return min(runs) * 1e3


def row(rows: int, size: int, density: float, seconds: float) -> tuple[str, bool]:
    """A line of the table, and whether what is chosen is slower than allowed."""
    torch.manual_seed(0)
    x = (torch.rand(rows, size) < density).float()
    weight, grad = torch.randn(size, size), torch.randn(rows, size)
    found = events(x)
    asked = weight.clone().requires_grad_()

    def both(value: torch.Tensor) -> None:
        torch.autograd.grad(linear(value, asked), asked, grad)

    dense = best(lambda: linear(x, weight), seconds)
    dense_weight = best(lambda: grad.T @ x, seconds)
    by_events = best(lambda: product(events(x), packed(weight), size), seconds)
    events_weight = best(lambda: weight_gradient(found, grad), seconds)
    sparse = x.to_sparse_csr()
    csr = best(lambda: sparse @ weight.T, seconds)
    whole, chosen = best(lambda: both(x), seconds), best(lambda: both(spikes(x)), seconds)
    slower = chosen > ALLOWED * whole + 0.01
    texts = [f"{value:.2f}" for value in (dense, csr, by_events, dense_weight, events_weight, whole, chosen)]
    mark = f"**{chosen / whole:.2f}**" if slower else f"{chosen / whole:.2f}"
    return f"| {rows} | {size} | {density:.1%} | {' | '.join(texts)} | {mark} |", slower


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 64, 128, 512, 2048, 4096], metavar="N")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 100, 8000], metavar="R", help="T·B")
    parser.add_argument("--quick", action="store_true", help="few runs, to see that it works")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    print(f"{datetime.date.today()}, {processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| rows | N | density | dense, ms | CSR | events | dense dW | events dW | dense both | chosen both | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    slow = 0
    for size in options.sizes:
        for rows in options.rows:
            for density in DENSITIES:
                line, slower = row(rows, size, density, 0.02 if options.quick else 0.2)
                slow += slower
                print(line, flush=True)
    print(f"\n{slow} of what was chosen took more than {ALLOWED} times the dense product.")


if __name__ == "__main__":
    main()

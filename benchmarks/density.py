"""Products and convolutions of spikes over densities and sizes: what litspike chooses by itself beside torch's dense.

    python benchmarks/density.py            # about ten minutes on two quiet cores, which --minutes bounds
    python benchmarks/density.py --quick    # about half a minute: few sizes, few runs

A row is a size: the time of `torch.nn.functional.linear` (or `conv2d`) on spikes, what looks at their density
included, divided by the dense one's, at each density; forward, and backward (the gradient of the weight, and in a
convolution that of the input too). Both run in turn, and the least of each counts. A call may take 1.05 times the dense
one's time and 10 µs; what takes more is bold. Then the worst of each N; every call that takes more when it is measured
once more, and the constant of `litspike/engine/events/choice.py` that decides it. CSR is torch's own sparse product at
5%, forward, its conversion left out. Every number goes to a table that a program can read (`--save`).
"""

from __future__ import annotations

import argparse
import csv
import datetime
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from layer import processor
from torch import Tensor
from torch.nn.functional import conv2d, linear

from litspike.engine import spikes
from litspike.engine.events.choice import LEAST_WORK

DENSITIES = [0.001, 0.01, 0.05, 0.1, 0.2, 0.35, 1.0]
ALLOWED, OVERHEAD = 1.05, 0.01
MAPS = [(8, 32, 32), (32, 64, 64), (8, 128, 128)]
"""Height and width of a map, channels in and out."""
FIELDS = ["kind", "N", "rows", "density", "pass", "dense_ms", "chosen_ms", "csr_ms", "ratio", "events", "slower"]


class Case(NamedTuple):
    """A product of a size.

    Args:
        kind: linear, or the map of a convolution.
        size: N, or channels out.
        rows: T · B.
        shape: of a sample of the input.
        weight: shape of the weight.
        function: of input and weight.
    """

    kind: str
    size: int
    rows: int
    shape: tuple[int, ...]
    weight: tuple[int, ...]
    function: Callable[[Tensor, Tensor], Tensor]


def products(sizes: list[int], rows: list[int], most: float) -> Iterator[Case]:
    """Linear layers N → N, those of too many multiplications left out."""
    for size in sizes:
        for count in rows:
            if count * size**2 <= most:
                yield Case("linear", size, count, (size,), (size, size), linear)


def convolutions(rows: list[int], most: float) -> Iterator[Case]:
    """Convolutions of 3 × 3."""
    for side, inputs, outputs in MAPS:
        for count in rows:
            if count * side**2 * 9 * inputs * outputs <= most:
                kind = f"{side}×{side}×{inputs}"
                shape, weight = (inputs, side, side), (outputs, inputs, 3, 3)
                yield Case(kind, outputs, count, shape, weight, lambda x, w: conv2d(x, w, padding=1))


def in_turn(jobs: dict[str, Callable[[], tuple[float, ...]]], seconds: float) -> dict[str, tuple[float, ...]]:
    """The least milliseconds that each job gives, after a first turn; three turns at least, unless they take long."""
    for job in jobs.values():
        job()
    found: dict[str, tuple[float, ...]] = {}
    began, turns = time.perf_counter(), 0
    while turns < 1 or (time.perf_counter() - began < seconds * (1 if turns > 2 else 5)):
        for name, job in jobs.items():
            times = job()
            found[name] = tuple(map(min, times, found.get(name, times)))
        turns += 1
    return found


def measured(case: Case, density: float, seconds: float) -> Iterator[dict[str, Any]]:
    """Forward and backward of a case, dense and as chosen."""
    torch.manual_seed(0)
    x = (torch.rand(case.rows, *case.shape) < density).float()
    weight = torch.randn(case.weight).requires_grad_()
    grad = torch.randn_like(case.function(x[:1], weight)).expand(case.rows, *case.function(x[:1], weight).shape[1:])
    grad = grad.contiguous()
    leaf = x if case.kind == "linear" else x.clone().requires_grad_()
    asked = [weight] if case.kind == "linear" else [weight, leaf]

    def both(mark: Callable[[Tensor], Tensor]) -> tuple[float, float]:
        start = time.perf_counter()
        y = case.function(mark(leaf), weight)
        middle = time.perf_counter()
        torch.autograd.grad(y, asked, grad)
        return (middle - start) * 1e3, (time.perf_counter() - middle) * 1e3

    jobs: dict[str, Callable[[], tuple[float, ...]]] = {
        "dense": lambda: both(lambda value: value),
        "chosen": lambda: both(spikes),
    }
    if case.kind == "linear" and density == 0.05:
        sparse = x.to_sparse_csr()

        def csr() -> tuple[float]:
            start = time.perf_counter()
            with torch.no_grad():
                sparse @ weight.T
            return ((time.perf_counter() - start) * 1e3,)

        jobs["csr"] = csr
    found = in_turn(jobs, seconds)
    maker = case.function(spikes(leaf), weight).grad_fn
    taken = maker is not None and maker.name().startswith("_Event")
    for number, name in enumerate(("forward", "backward")):
        dense, chosen = found["dense"][number], found["chosen"][number]
        yield {
            **{"case": case, "kind": case.kind, "N": case.size, "rows": case.rows, "density": density, "pass": name},
            **{"dense_ms": f"{dense:.4f}", "chosen_ms": f"{chosen:.4f}", "ratio": round(chosen / dense, 3)},
            "csr_ms": f"{found['csr'][0]:.4f}" if "csr" in found and name == "forward" else "",
            "events": taken,
            "slower": chosen > ALLOWED * dense + OVERHEAD,
        }


def line(case: Case, cells: list[dict[str, Any]]) -> str:
    """A row of the table."""

    def ratios(name: str) -> str:
        texts = [(f"{cell['ratio']:.2f}", cell["slower"]) for cell in cells if cell["pass"] == name]
        return " ".join(f"**{text}**" if slower else text for text, slower in texts)

    few = [cell for cell in cells if cell["csr_ms"] and cell["density"] == 0.05]
    csr = f"{float(few[0]['csr_ms']) / float(few[0]['dense_ms']):.2f}" if few else ""
    dense = next(cell["dense_ms"] for cell in cells if cell["pass"] == "forward")
    size = f"{case.size} | {case.rows}"
    return f"| {case.kind} | {size} | {float(dense):.3f} | {ratios('forward')} | {ratios('backward')} | {csr} |"


def worst(cells: list[dict[str, Any]]) -> Iterator[str]:
    """Of each kind and N the worst ratio among the calls that take more than 10 µs longer, and where it is."""
    for kind, size in dict.fromkeys((cell["kind"], cell["N"]) for cell in cells):
        mine = [cell for cell in cells if (cell["kind"], cell["N"]) == (kind, size)]
        slow = [cell for cell in mine if float(cell["chosen_ms"]) - float(cell["dense_ms"]) > OVERHEAD]
        best = min(mine, key=lambda cell: cell["ratio"])
        texts = [
            f"{cell['ratio']:.2f} ({cell['pass']}, {cell['rows']} rows, {cell['density']:.1%})" if cell else "none"
            for cell in (max(slow, key=lambda cell: cell["ratio"], default=None), best)
        ]
        yield f"| {kind} | {size} | {texts[0]} | {texts[1]} | {sum(cell['slower'] for cell in mine)} of {len(mine)} |"


def slower(cells: list[dict[str, Any]], seconds: float) -> Iterator[str]:
    """Every call that takes longer than it may, measured once more, and what would change it."""
    first = [cell for cell in cells if cell["slower"]]
    again = [
        cell
        for case, density in dict.fromkeys((cell["case"], cell["density"]) for cell in first)
        for cell in measured(case, density, 3 * seconds)
    ]
    places = {(cell["case"], cell["density"], cell["pass"]) for cell in first}
    mine = [cell for cell in again if cell["slower"] and (cell["case"], cell["density"], cell["pass"]) in places]
    yield f"\nAbove {ALLOWED} × dense + 10 µs: {len(first)} of {len(cells)} calls, and once more {len(mine)} of these."
    for cell in mine:
        where = f"{cell['kind']}, N = {cell['N']}, {cell['rows']} rows, {cell['density']:.1%}, {cell['pass']}"
        ran = "on events" if cell["events"] else "dense"
        yield f"- {where}: {cell['chosen_ms']} ms in place of {cell['dense_ms']}, {cell['ratio']}, {ran}"
    linear_ones = [cell for cell in mine if cell["kind"] == "linear"]
    work = [cell["rows"] * cell["N"] ** 2 for cell in linear_ones if not cell["events"]]
    if max(work, default=0) >= LEAST_WORK:
        yield f"Dense: with LEAST_WORK above {max(work):,} in place of {LEAST_WORK:,} nothing looks for the density."
    if few := [cell["density"] for cell in linear_ones if cell["events"]]:
        yield f"On events: CROSSOVER below {min(few)}, or, where the rows are few, more PACKED_ROWS."
    if len(linear_ones) < len(mine):
        yield "Convolutions: a lower CONVOLUTION_CROSSOVER on events, more LEAST_WORK or CONVOLUTION_DEPTH where dense."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 64, 128, 512, 2048, 4096], metavar="N")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 10, 100, 1000, 10_000, 100_000], help="T·B")
    parser.add_argument("--densities", type=float, nargs="+", default=DENSITIES)
    parser.add_argument("--most", type=float, default=1e11, help="multiplications of a product, above which: left out")
    parser.add_argument("--seconds", type=float, default=0.4, help="for each cell")
    parser.add_argument("--minutes", type=float, default=11, help="after which no further size is begun")
    parser.add_argument("--quick", action="store_true", help="few sizes and runs, to see that it works")
    parser.add_argument("--save", type=Path, default=Path("logs/density.csv"), help="table of every number")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.rows, options.most, options.seconds = [16, 128, 512], [1, 100, 8000], 3e9, 0.1
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    print(f"{datetime.date.today()}, {processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    head = f"chosen ÷ dense at {', '.join(f'{density:.1%}' for density in options.densities)}"
    print(f"| kind | N | rows | dense, ms | forward: {head} | backward | CSR ÷ dense at 5% |\n{'|---' * 7}|")
    cells: list[dict[str, Any]] = []
    left = [f"{rows} × {n}" for n in options.sizes for rows in options.rows if rows * n**2 > options.most]
    began = time.perf_counter()
    options.save.parent.mkdir(parents=True, exist_ok=True)
    with options.save.open("w", newline="") as file:
        table = csv.DictWriter(file, FIELDS, extrasaction="ignore")
        table.writeheader()
        for case in [
            *products(options.sizes, options.rows, options.most),
            *convolutions([rows for rows in options.rows if 1 < rows < 100_000], options.most / 4),
        ]:
            if time.perf_counter() - began > 60 * options.minutes:
                left.append(f"{case.rows} × {case.size} ({case.kind}, by --minutes)")
                continue
            found = [cell for density in options.densities for cell in measured(case, density, options.seconds)]
            table.writerows(found)
            file.flush()
            cells += found
            print(line(case, found), flush=True)
    print(
        "\n| kind | N | worst ratio of chosen to dense, and where | best | slower than allowed |\n|---|---|---|---|---|"
    )
    for text in [*worst(cells), *slower(cells, options.seconds)]:
        print(text)
    print(f"\nLeft out, by --most where nothing else is said: {', '.join(left) or 'nothing'}. Saved: {options.save}.")


if __name__ == "__main__":
    main()

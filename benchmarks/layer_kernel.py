"""litspike's kernels by themselves: the parts of benchmarks/layer.py that no peer takes part in."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from statistics import median

import torch
from layer_run import DECAY, Times, median_time, pass_times
from torch import Tensor

from litspike.neurons import LIF, AdaptiveLIF, Neuron, SynapticLIF

STEPS, BATCH = 500, 16


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table with its columns aligned."""
    lines = [list(head), ["-" * len(cell) for cell in head], *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines[1] = ["-" * width for width in widths]
    for line in lines:
        print(f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |")


def drawn(*shape: int) -> Tensor:
    """A current that makes some neurons fire."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 0.5


def neuron_times(steps: int, size: int, repeats: int, seconds: float) -> Times:
    """Forward and backward of the neurons alone."""
    neuron = LIF(decay=DECAY, engine="fused")
    current, upstream = drawn(steps, BATCH, size).requires_grad_(), drawn(steps, BATCH, size)
    return pass_times(lambda: neuron(current)[0], [current], upstream, repeats, seconds)[0]


def floor(sizes: list[int], repeats: int, seconds: float) -> None:
    """How near the kernels come to the time that moving their bytes takes."""
    print("## Neurons alone beside the floor of memory\n")
    rows = []
    for size in sizes:
        source = drawn(STEPS, BATCH, size)
        target = torch.empty_like(source).copy_(source)
        whole = source.nbytes
        bandwidth = 2 * whole / median_time(lambda: target.copy_(source), repeats, seconds)  # noqa: B023  # it is called in this turn
        fresh = 2 * whole / median_time(source.clone, repeats, seconds)
        times = neuron_times(STEPS, size, repeats, seconds)
        kept, state = kept_bytes(LIF(decay=DECAY), STEPS, size), whole // STEPS
        forward = 2 * whole + kept + state  # current in; spikes, kept states and the last state out
        backward = 3 * whole + kept  # current, upstream gradient and kept states in; the current's gradient out
        row = [str(size), f"{bandwidth / 1e9:.1f}", f"{fresh / 1e9:.1f}"]
        for moved, took in ((forward, times.forward), (backward, times.backward)):
            row += [f"{moved / 1e6:.1f}", f"{took * 1e3:.2f}", f"{moved / bandwidth / took:.0%}"]
        rows.append(row)
    table(
        [
            *("N", "copy, GB/s", "into fresh memory, GB/s", "forward: MB", "ms", "of the floor's speed"),
            *("backward: MB", "ms", "of the floor's speed"),
        ],
        rows,
    )
    print("\nThe floor: each input read once and each output written once, at the speed of the copy.")


def linearity(sizes: list[int], repeats: int, seconds: float) -> None:
    """Time per step of sequences of several lengths."""
    lengths = (250, 1000, 4000)
    print("## Time per step by the length of the sequence, forward and backward, µs\n")
    rows = []
    for size in [size for size in sizes if size <= 512]:  # a current of 4000 · 16 · 2048 numbers takes 524 MB
        linear = torch.nn.Linear(size, size, bias=False)
        for name in ("neurons alone", "Linear and neurons"):
            found = []
            for steps in lengths:
                times = neuron_times(steps, size, repeats, seconds) if name == "neurons alone" else None
                found.append((times or layer_times(linear, steps, size, repeats, seconds)).total / steps * 1e6)
            change = f"{found[-1] / found[0] - 1:+.0%}"
            rows.append([str(size), name, *(f"{each:.1f}" for each in found), change])
    table(["N", "what", *(f"T = {steps}" for steps in lengths), f"{lengths[-1]} beside {lengths[0]}"], rows)


def layer_times(linear: torch.nn.Linear, steps: int, size: int, repeats: int, seconds: float) -> Times:
    """Forward and backward of a linear map and the neurons, with the gradient of the weights."""
    neuron = LIF(decay=DECAY, engine="fused")
    x, upstream = drawn(steps, BATCH, size).gt(0.8).float(), drawn(steps, BATCH, size)
    return pass_times(lambda: neuron(linear(x))[0], [linear.weight], upstream, repeats, seconds)[0]


def kept_bytes(neuron: Neuron, steps: int, size: int) -> int:
    """Memory that the graph of a forward pass holds beyond input and output."""
    current = drawn(steps, BATCH, size).requires_grad_()
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output, _ = neuron(current)
    for tensor in (current, output):
        saved.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(saved.values())


def memory(sizes: list[int], repeats: int, seconds: float) -> None:
    """What is kept for the backward pass, of models with one state and with two."""
    print("## Memory kept for the backward pass beyond input and output\n")
    rows = []
    for model in (LIF, SynapticLIF, AdaptiveLIF):
        for size in sizes:
            neuron = model(engine="fused")
            kept = kept_bytes(neuron, STEPS, size)
            share = kept / 4 / (len(neuron.rest) * BATCH * size * STEPS / 16)
            rows.append([model.__name__, str(size), f"{kept / 1e6:.2f}", f"{share:.3f}"])
    table(["model", "N", "MB", "floats for each state and neuron at each 16th step"], rows)


def alternation(sizes: list[int], repeats: int, seconds: float) -> None:
    """Whether a kernel after a matrix product costs anything beyond itself.

    The product leaves the kernel's input outside the kernel's caches; a product on one thread does that as well, with
    no thread of torch's at work since. What is more than after that, the threads cost.
    """
    print("## A forward pass of the kernel after a matrix product, ms\n")
    rows = []
    threads = torch.get_num_threads()
    for size in [size for size in sizes if size <= 512]:
        neuron = LIF(decay=DECAY, engine="fused")
        x, weight = drawn(STEPS, BATCH, size), drawn(size, size)
        flat = x.flatten(0, 1)
        room = torch.empty_like(flat)

        def kernel(neuron: Neuron = neuron, room: Tensor = room, x: Tensor = x) -> object:
            return neuron(room.view_as(x))

        def product(flat: Tensor = flat, weight: Tensor = weight, room: Tensor = room) -> object:
            return torch.mm(flat, weight, out=room)

        with torch.no_grad():
            before = ((kernel, threads), (product, 1), (product, threads))
            again, alone, team = after(before, kernel, repeats * 20, seconds)
        cells = [f"{each * 1e3:.2f}" for each in (again, alone, team)]
        rows.append([str(size), str(threads), *cells, f"{team / alone - 1:+.0%}"])
    head = ["N", "threads", "after itself", "after a product on one thread", "after one on all", "the threads cost"]
    table(head, rows)


def after(
    before: Sequence[tuple[Callable[[], object], int]], kernel: Callable[[], object], repeats: int, seconds: float
) -> list[float]:
    """Median times of the kernel on all threads after each of these, run on its number of threads; they take turns."""
    threads = torch.get_num_threads()
    found: list[list[float]] = []
    begin = time.perf_counter()
    while len(found) < 3 or (len(found) < repeats and time.perf_counter() - begin < seconds):
        found.append([])
        for call, count in before:
            torch.set_num_threads(count)
            call()
            torch.set_num_threads(threads)
            start = time.perf_counter()
            kernel()
            found[-1].append(time.perf_counter() - start)
    return [median(column) for column in zip(*found[1:], strict=True)]


START = """
import torch
from litspike.neurons import LIF
x = torch.randn(20, 4, 8, requires_grad=True)
LIF(engine="{engine}", learn={{"decay": "layer"}})(x)[0].sum().backward()
"""


def start(sizes: list[int], repeats: int, seconds: float) -> None:
    """A process that runs a layer once, forward and backward, and ends."""
    print("## A whole process that runs one layer, s\n")
    with tempfile.TemporaryDirectory() as cache:

        def took(engine: str) -> float:
            begin = time.perf_counter()
            program = [sys.executable, "-c", START.format(engine=engine)]
            subprocess.run(program, env={**os.environ, "XDG_CACHE_HOME": cache}, check=True)
            return time.perf_counter() - begin

        took("reference")  # reads torch into the system's memory
        first = took("fused")
        both = [(took("reference"), took("fused")) for _ in range(min(repeats, 5))]
    reference, cached = (median(column) for column in zip(*both, strict=True))
    more = median(fused - plain for plain, fused in both)
    head = ["reference engine", "fused, first process", "fused, kernels on disk", "beyond the reference"]
    table(head, [[f"{reference:.2f}", f"{first:.2f}", f"{cached:.2f}", f"{more:+.2f}"]])


PARTS: dict[str, Callable[[list[int], int, float], None]] = {
    "floor": floor,
    "linearity": linearity,
    "memory": memory,
    "alternation": alternation,
    "start": start,
}

"""The kernels of the GPU beside the bytes that they must move: forward and backward of a LIF layer, without a Linear.

    python benchmarks/gpu.py

The floor is what must be read and written once (forward: input and spikes; backward: input, upstream gradient and the
input's gradient; states kept between the two) over the bandwidth of a copy of that size, measured in the same run.
SpikingJelly's LIF runs beside it on its Triton kernels where it is installed; spikes and gradients are compared. At the
smaller sizes all fits in the second-level cache and a thread's time is that of its steps one after another, so that no
layer comes near the floor. A second table has recurrent layers: one kernel over time beside the loop that defines it,
with the gradients of input and connections.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from litspike.engine.call import Engine
from litspike.neurons import LIF, Recurrent

STEPS, BATCH, SIZES = 500, 16, (128, 512, 2048, 8192)
RECURRENT = [(size, batch) for size in (64, 128, 256, 512, 1024) for batch in (32, 256)]
Layer = Callable[[Tensor], Tensor]
BACKEND = "SJ_LIF_CUDA_IMPLEMENTATION"
os.environ.setdefault(BACKEND, "triton")


def milliseconds(job: Callable[[], object], runs: int = 30) -> float:
    """Median time of a job on the GPU, after a warm-up."""
    times = []
    for _ in range(runs + 5):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        job()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times[5:])


def layer_times(layer: Layer, x: Tensor, upstream: Tensor) -> tuple[float, float]:
    """Forward and backward."""
    output = layer(x)
    back = milliseconds(lambda: torch.autograd.grad(output, x, upstream, retain_graph=True))
    return milliseconds(lambda: layer(x)), back


def peers() -> dict[str, Callable[[], Layer]]:
    """SpikingJelly's kernel for the GPU, where it is installed: it makes a layer with the dynamics of ours."""
    try:
        from spikingjelly.activation_based import functional, neuron, surrogate  # type: ignore[import-not-found]  # it is installed for this alone
    except ImportError:
        return {}

    def make() -> Layer:
        # v ← v − v / 10 + x: the spikes of ours, which leaks at the end of a step, but for rounding.
        node = neuron.LIFNode(
            tau=10.0, decay_input=False, v_reset=0.0, surrogate_function=surrogate.ATan(), step_mode="m"
        ).cuda()

        def layer(x: Tensor) -> Tensor:
            functional.reset_net(node)
            output: Tensor = node(x)
            return output

        return layer

    return {f"SpikingJelly ({os.environ[BACKEND]})": make}


def report() -> None:
    """Print a row for each size and layer."""
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, T = {STEPS}, B = {BATCH}, float32")
    print(
        "| N | layer | forward ms | of floor | backward ms | of floor | MB saved | copy GB/s "
        "| spikes that differ | gradient differs by |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for size in SIZES:
        x = (torch.randn(STEPS, BATCH, size, device="cuda") * 0.5).requires_grad_()
        upstream, room = torch.randn_like(x), torch.empty_like(x)
        source = x.detach()
        bandwidth = 2 * x.nbytes / milliseconds(lambda to=room, of=source: to.copy_(of))  # bytes a millisecond
        del room
        saved = x.nbytes // 16
        floors = (2 * x.nbytes + saved) / bandwidth, (3 * x.nbytes + saved) / bandwidth
        ours = LIF(decay=0.9, leak="before_input", engine="fused").cuda()
        layers: dict[str, Callable[[], Layer]] = {
            "litspike": lambda layer=ours: lambda current: layer(current)[0],
            **peers(),
        }
        expected: list[Tensor] = []
        for name, make in layers.items():
            try:
                layer = make()
                spikes = gradient = x  # what the layer before left is no longer held
                before = torch.cuda.memory_allocated()
                spikes = layer(x)
                held = (torch.cuda.memory_allocated() - before - spikes.nbytes) / 1e6
                (gradient,) = torch.autograd.grad(spikes, x, upstream)
                expected = expected or [spikes.detach(), gradient]
                forward, backward = layer_times(layer, x, upstream)
            except Exception as problem:  # a peer that doesn't run here is no reason to stop
                if name == "litspike":
                    raise
                print(f"| {size} | {name} | does not run: {str(problem).splitlines()[0]} |")
                continue
            differ = int((spikes != expected[0]).sum())
            off = float((gradient - expected[1]).norm() / expected[1].norm())
            print(
                f"| {size} | {name} | {forward:.3f} | {floors[0] / forward:.0%} | {backward:.3f} "
                f"| {floors[1] / backward:.0%} | {held:.0f} | {bandwidth / 1e6:.0f} | {differ} | {off:.1e} |"
            )


def recurrent_layer(size: int, batch: int, engine: Engine) -> tuple[float, float, list[Tensor]]:
    """Milliseconds of a forward and of a whole pass, the spikes and the gradients."""
    torch.manual_seed(0)
    layer = Recurrent(LIF(engine=engine)).shaped(size).cuda()
    x = (torch.randn(STEPS, batch, size) * 0.4).cuda().requires_grad_()
    upstream = torch.randn(STEPS, batch, size).cuda()

    def whole() -> list[Tensor]:
        spikes: Tensor = layer(x)[0]
        return [spikes.detach(), *torch.autograd.grad(spikes, [x, *layer.parameters()], upstream)]

    runs = 5 if engine == "fused" else 2
    return milliseconds(lambda: layer(x), runs), milliseconds(whole, runs), whole()


def report_recurrent() -> None:
    """Print a row for each size of a recurrent layer and of a batch."""
    print("\n| N | B | fire | kernel: forward, ms | total | loop: forward | total | ratio | spikes, gradients differ |")
    print("|---|---|---|---|---|---|---|---|---|")
    for size, batch in RECURRENT:
        forward, total, found = recurrent_layer(size, batch, "fused")
        slow_forward, slow, expected = recurrent_layer(size, batch, "reference")
        differ = float((found[0] != expected[0]).float().mean())
        off = max(float((a - b).norm() / b.norm()) for a, b in zip(found[1:], expected[1:], strict=True))
        rate, times = float(found[0].mean()), f"{forward:.1f} | {total:.1f} | {slow_forward:.0f} | {slow:.0f}"
        print(f"| {size} | {batch} | {rate:.1%} | {times} | {slow / total:.1f} | {differ:.0e}, {off:.0e} |", flush=True)


if __name__ == "__main__":
    if torch.cuda.is_available():
        report()
        report_recurrent()
    else:
        print("there is no GPU here: nothing is measured")

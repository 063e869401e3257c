"""Synaptic operations: what the connections of a network compute, and what of it spikes and zeros spare."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from litspike.arguments import typed
from litspike.internals.torch import convolve
from litspike.metrics.exact import exact, exact_device
from litspike.settings import integer

CONNECTIONS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""The layers whose operations are counted."""

UNCOUNTED = (
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.RNNBase, nn.RNNCellBase, nn.Bilinear, nn.MultiheadAttention),
)
"""Layers with weights whose operations are not."""

DENSE, MACS, ACS = range(3)


class Operations(Metric):
    r"""Multiply–accumulates and accumulates of each connection of a network, for one sample.

    Equation, for a connection with weights w, over all pairs of an input x and a weight w that it meets::

        dense = #pairs        effective = #{pairs: x ≠ 0 and w ≠ 0}
        ACs = effective where every input of the step is −1, 0 or 1, else 0;  MACs = effective − ACs

    A step is that of all samples of a call, as in the source: one of them with two events in a place makes the
    operations of all of them in that step MACs, so that such inputs count otherwise in batches of another size.

    Pairs with the padding of a convolution, biases, batch norm, pooling and neurons are no synaptic operations.
    Counted are the calls of ``nn.Linear`` and ``nn.Conv1d`` to ``nn.Conv3d`` modules: a layer that is called once for
    all steps counts once, as it computes once. Counts are exact up to 2⁵³, and are added up over processes.

    It costs a look at each input: the number of weights that meet an input value depends on its place alone, so that
    it is enough to count at each place how many inputs are not zero. Only a convolution of which weights are zero is
    computed once more in each pass, for one sample.

    Update: run batches inside :meth:`counted`. Compute: for each connection, by its name in the network, float64
    operations a sample ``dense``, ``macs`` and ``acs``, each [steps], of no dimension where there is one step; NaN
    where nothing was counted::

        operations = Operations(network)
        with operations.counted(len(x)):
            network(x)
        operations.compute()["layers.0"]["acs"]

    Args:
        network: any module; its connections are found by their class.
        steps: time steps T of a pass. An operation belongs to the step of its row in a call on T·B samples, time
            first, and of its place among the calls where there are T, or a multiple of it; else to the first step.

    Raises:
        SettingError: if steps is below 1.

    Source: Yik et al. 2025, "The NeuroBench framework for benchmarking neuromorphic computing algorithms and systems":
    its effective MACs, effective ACs and dense operations, of a network that is called once a step.
    """

    full_state_update = False
    counts: Tensor
    """Dense operations, MACs and ACs, int64 [connections, steps, 3]."""
    samples: Tensor

    @typed
    def __init__(self, network: nn.Module, steps: int = 1) -> None:
        super().__init__()
        self.steps = integer("steps", steps)
        # in a dictionary that no module looks into: the network is not part of its counter
        self.connections = {name: layer for name, layer in network.named_modules() if isinstance(layer, CONNECTIONS)}
        self.uncounted = [name for name, layer in network.named_modules() if isinstance(layer, UNCOUNTED)]
        """Names of layers that compute with weights and are not counted."""
        self.called: list[str] = []
        """Names of the connections in the order of their first calls."""
        self._dense: dict[tuple[int, torch.Size], Tensor] = {}  # reach of all weights, by connection and shape
        self.add_state("counts", torch.zeros((len(self.connections), steps, 3), dtype=torch.int64), "sum")
        self.add_state("samples", torch.zeros((), dtype=torch.int64), "sum")

    @contextmanager
    def counted(self, samples: int, valid: Tensor | None = None) -> Iterator[None]:
        """Count the calls while the context lasts, as one pass of ``samples`` samples through the network.

        Of sequences that end earlier the ``valid`` steps alone count, boolean [steps, samples].

        What goes wrong in counting is raised at the context's end, so that it doesn't disturb the network.
        """
        tally = _Tally(samples, self.steps, len(self.connections), self._dense, valid)
        with ExitStack() as handles:
            for index, (name, layer) in enumerate(self.connections.items()):
                handles.callback(layer.register_forward_pre_hook(partial(self._note, name)).remove)
                hook = layer.register_forward_pre_hook(tally.hook(index), with_kwargs=True)
                handles.callback(hook.remove)
            yield
        if tally.error is not None:
            raise tally.error
        self.update(tally.counts(self.counts.device), samples)

    def _note(self, name: str, *_: Any) -> None:
        if name not in self.called:
            self.called.append(name)

    def update(self, counts: Tensor, samples: int) -> None:
        """Take in the counts of a pass, int64 [connections, steps, 3], and its number of samples."""
        self.counts += counts
        self.samples += samples

    def compute(self) -> dict[str, dict[str, Tensor]]:
        """The operations of each connection, per sample."""
        per_sample = exact(self.counts) / exact(self.samples)
        return {
            name: {"dense": counts[:, DENSE], "macs": counts[:, MACS], "acs": counts[:, ACS]}
            for name, counts in zip(self.connections, per_sample, strict=True)
        }


def reach(layer: nn.Module, shape: torch.Size, weights: Tensor) -> Tensor:
    r"""How many weights meet each input value of a sample.

    The sum of a linear layer's outputs is a sum over its inputs, each times the weights that meet it: with weights of
    1 and 0, the gradient of that sum is their number.

    Args:
        layer: one of :data:`CONNECTIONS`.
        shape: of a sample, without a batch.
        weights: of the layer's shape, True for those that are meant.

    Returns:
        Their number, float64 [\*shape].
    """
    weights = weights.to(exact_device(weights.device))
    if isinstance(layer, nn.Linear):
        return weights.sum(0, dtype=torch.float64)
    with torch.inference_mode(False), torch.enable_grad():
        x = torch.ones((1, *shape), dtype=torch.float64, device=weights.device, requires_grad=True)
        y = convolve(layer, x, weights.clone().double())  # the padding is the layer's own
        return torch.autograd.grad(y.sum(), x)[0][0]


def count(x: Tensor, steps: int, effective: Tensor, dense: Tensor, valid: Tensor | None = None) -> Tensor:
    r"""Operations of one call.

    Args:
        x: the input, [\*, \*shape], with steps · B samples before the shape, time first.
        steps: time steps in it.
        effective: what :func:`reach` says of the weights that are not zero, [\*shape].
        dense: what it says of all of them.
        valid: which steps of which samples count, [steps, B]; None: all.

    Returns:
        Dense operations, MACs and ACs of each step, int64 [steps, 3].
    """
    values = x.detach().reshape(steps, -1, dense.numel())
    if valid is not None:
        values = values * valid.reshape(steps, -1, 1)
    sign = values.sgn()
    binary = (values - sign).abs_().sum((1, 2)) == 0
    nonzero = sign.abs_().sum(1, dtype=torch.float32)  # an order faster than comparing, and exact up to 2²⁴ samples
    done = (exact(nonzero) @ effective.flatten()).long()
    samples = torch.full((steps,), values.shape[1]) if valid is None else valid.reshape(steps, -1).sum(1)
    each, binary = dense.sum().long() * samples.to(done.device), binary.to(done.device)
    return torch.stack([each, done * ~binary, done * binary], 1)


class _Tally:
    """The calls of one pass."""

    error: Exception | None = None
    """The first that came up while counting."""

    def __init__(
        self,
        samples: int,
        steps: int,
        connections: int,
        dense: dict[tuple[int, torch.Size], Tensor],
        valid: Tensor | None,
    ) -> None:
        self.samples, self.steps, self.dense, self.valid = samples, steps, dense, valid
        self.whole: list[list[Tensor]] = [[] for _ in range(connections)]  # counts [steps, 3] of calls on all steps
        self.single: list[list[Tensor]] = [[] for _ in range(connections)]  # counts [3] of calls on one
        self.effective: dict[tuple[int, torch.Size], Tensor] = {}

    def hook(self, index: int) -> Callable[..., None]:
        def see(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            try:
                self._add(index, layer, args[0] if args else kwargs["input"])
            except Exception as error:  # the pass goes on, whatever its counter meets
                self.error = self.error or error

        return see

    def _add(self, index: int, layer: Any, x: Tensor) -> None:
        dimensions = 1 if isinstance(layer, nn.Linear) else layer.weight.dim() - 1
        before, shape = x.shape[:-dimensions], x.shape[-dimensions:]
        effective, dense = self._reach(index, layer, shape)
        if math.prod(before) == self.steps * self.samples:
            self.whole[index].append(count(x, self.steps, effective, dense, self.valid))
        else:
            now = None if self.valid is None else self.valid[None, len(self.single[index]) % self.steps]
            self.single[index].append(count(x, 1, effective, dense, now)[0])

    def _reach(self, index: int, layer: Any, shape: torch.Size) -> tuple[Tensor, Tensor]:
        key, weight = (index, shape), layer.weight.detach()
        if key not in self.dense:
            self.dense[key] = reach(layer, shape, torch.ones_like(weight, dtype=torch.bool))
        if key not in self.effective:
            used = weight != 0
            self.effective[key] = self.dense[key] if bool(used.all()) else reach(layer, shape, used)
        return self.effective[key], self.dense[key]

    def counts(self, device: torch.device) -> Tensor:
        """All that was counted, int64 [connections, steps, 3]."""
        total = torch.zeros((len(self.whole), self.steps, 3), dtype=torch.int64, device=device)
        for index, (calls, singles) in enumerate(zip(self.whole, self.single, strict=True)):
            for counts in calls:
                total[index] += counts.to(device)
            if singles:
                by_call = torch.stack(singles).to(device)
                rounds = len(singles) // self.steps if len(singles) % self.steps == 0 else 0
                by_step = by_call.view(self.steps, rounds, 3).sum(1) if rounds else by_call.sum(0)
                total[index, : self.steps if rounds else 1] += by_step
        return total

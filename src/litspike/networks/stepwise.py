"""Layers that a sequence goes through step by step, because some take what others put out the step before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from litspike.networks.sequence import Pass, StatefulLayer


class Use(NamedTuple):
    """One use of a layer; the first of all is the input."""

    name: str
    """Of what it puts out."""
    layer: str | None
    """Name of the layer; None where the sum is passed on."""
    inputs: tuple[str, ...]
    """Names of what it takes the sum of."""
    before: tuple[str, ...] = ()
    """Names of what it adds as it was the step before, 0 before the first."""


def sent(
    uses: Sequence[Use], output: str, layers: nn.ModuleDict, x: Tensor, apply: Pass, before: Mapping[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    r"""Send a sequence [T, B, \*] through layers.

    Args:
        uses: in their order.
        output: name of what comes out.
        layers: by their names.
        x: the input.
        apply: what sends it through a layer.
        before: what was put out the step before, for the uses that take it.

    Returns:
        The output, and what the next step takes of this one, by its name.
    """
    first, *rest = uses
    left = Counter(name for use in uses for name in use.inputs)
    stays = {output, *before}
    values = {first.name: x}
    for use in rest:
        taken = [*(values[name] for name in use.inputs), *(before[name] for name in use.before)]
        y = taken[0]
        for other in taken[1:]:
            y = y + other
        left.subtract(use.inputs)
        for name in use.inputs:
            if not left[name] and name not in stays:
                values.pop(name, None)  # its memory
        values[use.name] = y if use.layer is None else apply(layers[use.layer], y)
    return values[output], {name: values[name] for name in before}


class StepByStep(StatefulLayer):
    r"""Layers with a loop through several of them, [T, B, \*] to [T, B, \*].

    What goes once round is a step late: y_t = f(x_t, z_{t−1}), with z = 0 before the first step. Each step is a call of
    every layer, which takes longer than one call for all steps.

    Args:
        uses: of the layers, in their order.
        output: name of what comes out.
        layers: by their names.
        shapes: name of what is taken a step later → its shape for one sample, [\*].
    """

    def __init__(
        self, uses: Sequence[Use], output: str, layers: nn.ModuleDict, shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        super().__init__()
        self.uses, self.output, self.layers, self.shapes = uses, output, layers, shapes

    def once(self, x: Tensor, apply: Pass, before: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """See :func:`sent`."""
        return sent(self.uses, self.output, self.layers, x, apply, before)

    def at_rest(self, x: Tensor) -> dict[str, Tensor]:
        """What the first step takes of the step before it, for samples of the batch of x."""
        return {name: x.new_zeros(*x.shape[:2], *shape) for name, shape in self.shapes.items()}

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """See :class:`~litspike.networks.StatefulLayer`; the state is that of the layers, and what is a step late."""
        before, outputs = self.at_rest(x[:1]), []
        layers = None
        if state is not None:
            layers, late = state
            before = {name: value[None] for name, value in zip(before, late, strict=True)}
        x = x.contiguous()  # of steps that are the same, each is computed
        for step in range(max(len(x), 1)):  # so that neurons refuse a sequence of no steps, as they do elsewhere
            apply = Pass(layers)
            output, before = self.once(x[step : step + 1], apply, before)
            layers = apply.state()
            outputs.append(output)
        return torch.cat(outputs), (layers, tuple(value[0] for value in before.values()))

"""Neurons with an affine update and numbers of their own for each: what a file says that no other model does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from litspike.neurons.base import Neuron
from litspike.neurons.declaration import option, param
from litspike.neurons.firing import ThresholdFiring
from litspike.surrogates import ZeroGradient


class Affine(Neuron):
    """A membrane with an update ``u ← β · u + γ · x + c``."""

    decay: float = param(default=0.9, inside="[0, 1]", doc="share β of the potential that remains after a step")
    gain: float = param(default=1.0, inside="(-inf, inf)", doc="what the input is multiplied by")
    offset: float = param(default=0.0, inside="(-inf, inf)", doc="what is added in each step, in units of the input")

    def with_numbers(self, constants: Mapping[str, Tensor], rest: Mapping[str, Tensor]) -> Self:
        r"""Give each neuron constants and states at rest of its own, which no training changes.

        Args:
            constants: name of an argument of the step → its values, [\*].
            rest: name of a state → its values at rest, [\*].

        Returns:
            The layer itself.
        """
        for kind, values in (("constant", constants), ("rest", rest)):
            for name, value in values.items():
                self.register_buffer(f"{kind}_{name}", value.float())
        return self

    def values(self, name: str) -> Sequence[Tensor | float]:
        """See :class:`~litspike.neurons.Neuron`."""
        kind, names = ("rest", list(self.rest)) if name == "at_rest" else ("constant", self._constants)
        own = [self._buffers.get(f"{kind}_{one}") for one in names]
        declared = super().values(name)
        return [value if given is None else given for given, value in zip(own, declared, strict=True)]

    def start(self, current: Tensor, steps: int | None = None) -> Sequence[Tensor | float]:
        """See :class:`~litspike.neurons.Neuron`."""
        shape = current.shape[1:] if steps is None else current.shape
        return [value.expand(shape) if isinstance(value, Tensor) else value for value in self.values("at_rest")]

    _constants: ClassVar[tuple[str, ...]] = ("decay", "gain", "offset")


class AffineIntegrator(Affine):
    r"""An integrator that never fires, with numbers of its own for each neuron.

    Equation, once per step::

        u ← u · β + x · γ + c    it leaks, takes up the input and drifts
        y = u                    the output is the membrane potential

    Called on a current [T, B, \*], it returns the potential of every step [T, B, \*] and its state ``u`` [B, \*].

    Source: Pedersen et al. 2024, "Neuromorphic intermediate representation", the nodes LI and I, integrated.

    Example:
        >>> import torch
        >>> from litspike.neurons.affine import AffineIntegrator
        >>> AffineIntegrator(decay=0.5, offset=1.0)(torch.zeros(3, 1, 1))[0].flatten().tolist()
        [1.0, 1.5, 1.75]
    """

    rest = {"u": 0.0}
    surrogate = ZeroGradient()  # it has no spikes, so there is nothing to set

    def constants(self) -> tuple[Tensor | float, ...]:
        return self.decay, self.gain, self.offset

    def step(self, x: Tensor, u: Tensor, decay: Tensor, gain: Tensor, offset: Tensor) -> tuple[Tensor, ...]:
        u = u * decay + x * gain + offset
        return u, u


class AffineSynapticIntegrator(Affine):
    r"""An integrator of a synaptic current that never fires, with numbers of its own for each neuron.

    Equation, once per step::

        i ← i · α + x · ω        the synaptic current decays and takes up the input
        u ← u · β + i · γ + c    the membrane leaks, takes up the current and drifts
        y = u                    the output is the membrane potential

    Called on a current [T, B, \*], it returns the potential of every step [T, B, \*] and its state, the membrane
    potential ``u`` and the synaptic current ``i``, each [B, \*].

    Source: Pedersen et al. 2024, "Neuromorphic intermediate representation", the node CubaLI, integrated.

    Example:
        >>> import torch
        >>> from litspike.neurons.affine import AffineSynapticIntegrator
        >>> AffineSynapticIntegrator(decay=0.5, synapse_decay=0.5)(torch.ones(3, 1, 1))[0].flatten().tolist()
        [1.0, 2.0, 2.75]
    """

    rest = {"u": 0.0, "i": 0.0}
    surrogate = ZeroGradient()  # it has no spikes, so there is nothing to set

    synapse_decay: float = param(default=0.8, inside="[0, 1]", doc="share α of the current that remains after a step")
    synapse_gain: float = param(default=1.0, inside="(-inf, inf)", doc="what the input is multiplied by")

    def constants(self) -> tuple[Tensor | float, ...]:
        return self.synapse_decay, self.synapse_gain, self.decay, self.gain, self.offset

    def step(self, x: Tensor, u: Tensor, i: Tensor, *constants: Tensor) -> tuple[Tensor, ...]:
        synapse_decay, synapse_gain, decay, gain, offset = constants
        i = i * synapse_decay + x * synapse_gain
        u = u * decay + i * gain + offset
        return u, u, i

    _constants = ("synapse_decay", "synapse_gain", "decay", "gain", "offset")


class AffineFiring(Affine, ThresholdFiring):
    """An affine membrane that fires and is reset."""

    threshold: float = param(default=1.0, inside="(-inf, inf)", doc="potential at which the neuron fires")
    leak: Literal["before_input", "before_reset"] = option(
        default="before_input", doc="when the membrane leaks; with before_reset a subtracted threshold doesn't leak"
    )

    def fire_and_reset(
        self, u: Tensor, drive: Tensor, decay: Tensor, threshold: Tensor, reset_value: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Spikes, and the potential after them, of a potential and what drives it."""
        u = u * decay + drive if self.leak == "before_input" else u + drive
        s = self.fire(u, threshold)
        if self.leak == "before_reset":
            u = u * decay
        return s, self.after_spike(u, s, threshold, reset_value)


class AffineLIF(AffineFiring):
    r"""Leaky integrate-and-fire neuron with a gain and a drift, and numbers of its own for each neuron.

    Equation, once per step::

        u ← u · β + x · γ + c    it leaks, here or before the reset (leak), takes up the input and drifts
        s = 1 if u ≥ θ           it fires, or only if u > θ (fires)
        u ← u · (1 − s)          it is reset where it fired: to zero, to reset_value, or u ← u − s · θ (reset)

    Called on a current [T, B, \*], it returns spikes [T, B, \*] and its state, the membrane potential ``u`` [B, \*].

    Source: Pedersen et al. 2024, "Neuromorphic intermediate representation", the nodes LIF and IF, integrated.

    Example:
        >>> import torch
        >>> from litspike.neurons.affine import AffineLIF
        >>> AffineLIF(decay=0.5, gain=2.0)(torch.full((3, 1, 1), 0.4))[0].flatten().tolist()
        [0.0, 1.0, 0.0]
    """

    rest = {"u": 0.0}

    def constants(self) -> tuple[Tensor | float, ...]:
        return self.decay, self.gain, self.offset, self.threshold, self.reset_constant()

    def step(self, x: Tensor, u: Tensor, *constants: Tensor) -> tuple[Tensor, ...]:
        decay, gain, offset, threshold, reset_value = constants
        return self.fire_and_reset(u, x * gain + offset, decay, threshold, reset_value)

    _constants = ("decay", "gain", "offset", "threshold", "reset_value")


class MultiSpikeLIF(AffineLIF):
    r"""Leaky integrate-and-fire neuron that may fire several times in a step.

    Equation: that of :class:`AffineLIF` with ``s = ⌊u / θ⌋`` where u ≥ θ, else 0. The reset subtracts s · θ.

    Called on a current [T, B, \*], it returns counts of spikes [T, B, \*] and its state, the membrane potential ``u``
    [B, \*]. The gradient is that of one spike at the threshold.

    Source: sinabs, ``sinabs.activation.MultiSpike``.

    Example:
        >>> import torch
        >>> from litspike.neurons.affine import MultiSpikeLIF
        >>> MultiSpikeLIF(decay=1.0)(torch.full((3, 1, 1), 2.5))[0].flatten().tolist()
        [2.0, 3.0, 2.0]
    """

    fires = "at"
    reset = "subtract"

    def fire(self, u: Tensor, threshold: Tensor) -> Tensor:
        """Number of spikes of the membrane potential ``u``."""
        s = self.spike(u - threshold)
        return s + torch.clamp(torch.floor(u / threshold) - 1, min=0).detach() * s.detach()


class AffineSynapticLIF(AffineFiring):
    r"""Leaky integrate-and-fire neuron with a synaptic current, gains and a drift, and numbers for each neuron.

    Equation, once per step::

        i ← i · α + x · ω        the synaptic current decays and takes up the input
        u ← u · β + i · γ + c    it leaks, here or before the reset (leak), takes up the current and drifts
        s = 1 if u ≥ θ           it fires, or only if u > θ (fires)
        u ← u · (1 − s)          it is reset where it fired: to zero, to reset_value, or u ← u − s · θ (reset)

    Called on a current [T, B, \*], it returns spikes [T, B, \*] and its state, the membrane potential ``u`` and the
    synaptic current ``i``, each [B, \*].

    Source: Pedersen et al. 2024, "Neuromorphic intermediate representation", the node CubaLIF, integrated.

    Example:
        >>> import torch
        >>> from litspike.neurons.affine import AffineSynapticLIF
        >>> AffineSynapticLIF(decay=0.5, synapse_decay=0.5)(torch.full((3, 1, 1), 0.5))[0].flatten().tolist()
        [0.0, 1.0, 0.0]
    """

    rest = {"u": 0.0, "i": 0.0}

    synapse_decay: float = param(default=0.8, inside="[0, 1]", doc="share α of the current that remains after a step")
    synapse_gain: float = param(default=1.0, inside="(-inf, inf)", doc="what the input is multiplied by")

    def constants(self) -> tuple[Tensor | float, ...]:
        membrane = self.decay, self.gain, self.offset, self.threshold, self.reset_constant()
        return self.synapse_decay, self.synapse_gain, *membrane

    def step(self, x: Tensor, u: Tensor, i: Tensor, *constants: Tensor) -> tuple[Tensor, ...]:
        synapse_decay, synapse_gain, decay, gain, offset, threshold, reset_value = constants
        i = i * synapse_decay + x * synapse_gain
        return *self.fire_and_reset(u, i * gain + offset, decay, threshold, reset_value), i

    _constants = ("synapse_decay", "synapse_gain", "decay", "gain", "offset", "threshold", "reset_value")

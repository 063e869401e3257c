"""Layers of neurons as the numbers of their update, which NIR's equations are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from litspike.networks.nir.dialects import Array, Update
from litspike.neurons import (
    IF,
    LIF,
    AdaptiveLIF,
    LeakyIntegrator,
    Neuron,
    NeuronLayer,
    RefractoryLIF,
    SynapticLIF,
)
from litspike.neurons.affine import (
    AffineIntegrator,
    AffineLIF,
    AffineSynapticIntegrator,
    AffineSynapticLIF,
    MultiSpikeLIF,
)

ZERO = np.zeros(())
ONE = np.ones(())


class Unsayable(Exception):
    """What a format has no place for.

    Args:
        setting: what it is, as in ``reset: subtract``.
        why: why it has no place.
        instead: what ``--approximate`` writes in its place; None where there is nothing.
    """

    def __init__(self, setting: str, why: str, instead: str | None = None) -> None:
        super().__init__(f"{setting} {why}")
        self.instead = instead


class Notes:
    """Approximations: refused, or allowed and noted.

    Args:
        allowed: whether they are allowed.
    """

    def __init__(self, allowed: bool) -> None:
        self.allowed = allowed
        self.made: list[str] = []
        """What was written otherwise than it is."""

    def approximate(self, setting: str, why: str, instead: str) -> None:
        """Note one, or refuse it by :class:`Unsayable`."""
        if not self.allowed:
            raise Unsayable(setting, why, instead)
        self.made.append(f"{setting} is written as {instead}")


def update_of(layer: NeuronLayer, notes: Notes) -> Update:
    """The update of a layer of neurons, with the leak before the input, as NIR's equations have it.

    Raises:
        Unsayable: if it is no model with such an update, or more than one.
    """
    make = _MODELS.get(type(layer))
    if make is None or not isinstance(layer, Neuron):
        raise Unsayable(type(layer).__name__, "is none of NIR's neurons")
    constants = [_numbers(value) for value in layer.values("constants")]
    if not all(bool(np.isfinite(value).all()) for value in constants):
        raise Unsayable(type(layer).__name__, "has numbers that are not finite")
    potential, *others = (_numbers(value) for value in layer.values("at_rest"))
    if any(value.any() for value in others):
        raise Unsayable("a state at rest", "other than the potential's has no place in NIR")
    return replace(make(layer, constants, notes), rest=potential)


def _lif(layer: Any, constants: list[Array], notes: Notes) -> Update:
    decay, gain, threshold, value = constants[:4]
    return _fired(layer, Update(decay, gain), threshold, value, layer.leak)


def _refractory(layer: Any, constants: list[Array], notes: Notes) -> Update:
    if layer.refractory:
        setting = f"refractory: {layer.refractory:g}"
        notes.approximate(setting, "has no place in NIR", "neurons without a refractory time")
    return _lif(layer, constants, notes)


def _adaptive(layer: Any, constants: list[Array], notes: Notes) -> Update:
    decay, threshold, adaptation, _, value = constants
    if bool((adaptation != 0).any()):
        notes.approximate("an adaptive threshold", "has no place in NIR", "a threshold that stays")
    return _fired(layer, Update(decay, ONE), threshold, value)


def _integrate_and_fire(layer: Any, constants: list[Array], notes: Notes) -> Update:
    threshold, value = constants
    return _fired(layer, Update(ONE, ONE), threshold, value)


def _synaptic(layer: Any, constants: list[Array], notes: Notes) -> Update:
    decay, synapse, threshold, value = constants
    return _fired(layer, Update(decay, ONE, synapse=(synapse, ONE)), threshold, value)


def _integrator(layer: Any, constants: list[Array], notes: Notes) -> Update:
    decay, gain = constants
    return Update(decay, gain)


def _affine(layer: Any, constants: list[Array], notes: Notes) -> Update:
    decay, gain, offset, *firing = constants
    made = Update(decay, gain, offset)
    if not firing:
        return made
    threshold, value = firing
    return _fired(layer, made, threshold, value, layer.leak)


def _multi_spike(layer: Any, constants: list[Array], notes: Notes) -> Update:
    return replace(_affine(layer, constants, notes), several=True)


def _affine_synaptic(layer: Any, constants: list[Array], notes: Notes) -> Update:
    synapse, weight, *membrane = constants
    return replace(_affine(layer, membrane, notes), synapse=(synapse, weight))


def _fired(layer: Any, update: Update, threshold: Array, value: Array, leak: str = "before_input") -> Update:
    """An update of a neuron that fires, with the leak moved to the beginning of the step.

    A leak after the reset is one before the next input. One between spike and reset leaves the value of the reset as
    it is, where NIR's equations leak it once more before the next input.
    """
    late = leak == "before_reset"
    reset: Any = "value"
    if layer.reset == "subtract":
        reset = "subtract_whole" if late else "subtract"
    elif late and bool((value != 0).any()):
        if bool((update.decay == 0).any()):
            raise Unsayable(f"reset_value: {layer.reset_value:g}", "with a decay of 0 has no place in NIR")
        value = value / update.decay
    fired: Any = layer.fires
    return replace(update, threshold=threshold, fires=fired, reset=reset, reset_value=value)


def _numbers(value: Tensor | float) -> Array:
    return np.asarray(value.detach().double().numpy() if isinstance(value, Tensor) else value, np.float64)


_MODELS: dict[type, Callable[[Any, list[Array], Notes], Update]] = {
    LIF: _lif,
    IF: _integrate_and_fire,
    RefractoryLIF: _refractory,
    AdaptiveLIF: _adaptive,
    SynapticLIF: _synaptic,
    LeakyIntegrator: _integrator,
    AffineIntegrator: _affine,
    AffineLIF: _affine,
    MultiSpikeLIF: _multi_spike,
    AffineSynapticIntegrator: _affine_synaptic,
    AffineSynapticLIF: _affine_synaptic,
}

"""The layer of neurons that does an update: one of litspike's models where it says the same, else an affine one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from litspike.networks.nir.dialects import Array, Unreadable, Update
from litspike.neurons import IF, LIF, LeakyIntegrator, Neuron, SynapticLIF
from litspike.neurons.affine import (
    Affine,
    AffineIntegrator,
    AffineLIF,
    AffineSynapticIntegrator,
    AffineSynapticLIF,
    MultiSpikeLIF,
)
from litspike.surrogates import Surrogate


def layer_of(update: Update, shape: tuple[int, ...], surrogate: Surrogate | None) -> Neuron:
    r"""The layer of neurons of an update.

    Args:
        update: the numbers.
        shape: of a sample, [\*].
        surrogate: of the spikes; the models' own where None.

    Raises:
        Unreadable: if the numbers don't fit the shape.
    """
    more: dict[str, Any] = {} if surrogate is None or update.threshold is None else {"surrogate": surrogate}
    numbers = {name: _fitting(name, value, shape) for name, value in _numbers(update).items()}
    uniform = {name: _one(value) for name, value in numbers.items()}
    if all(value is not None for value in uniform.values()) and not update.several:
        known = _known(update, uniform, more)
        if known is not None:
            return known
    kind = _affine(update)
    rest = uniform.pop("rest")
    numbers_at_rest = numbers.pop("rest")
    settings: dict[str, Any] = {
        name: value for name, value in uniform.items() if value is not None and name in kind.declared
    }
    if update.threshold is not None and not update.several:
        settings |= _firing(update, settings.pop("reset_value", None))
        settings["leak"] = "before_reset" if update.reset == "subtract_whole" else "before_input"
    if update.several and not bool((numbers["threshold"] > 0).all()):
        raise Unreadable("v_threshold is not above 0, where neurons fire several times in a step")
    made = kind(**settings, **more)
    own = {name: _tensor(value, shape) for name, value in numbers.items() if uniform[name] is None}
    return made.with_numbers(own, {} if rest == 0 else {"u": _tensor(numbers_at_rest, shape)})


def _numbers(update: Update) -> dict[str, Array]:
    """The numbers of an update by the names of the models' constants."""
    found = {"decay": update.decay, "gain": update.gain, "offset": update.offset, "rest": update.rest}
    if update.synapse is not None:
        found["synapse_decay"], found["synapse_gain"] = update.synapse
    if update.threshold is not None:
        found["threshold"] = update.threshold
        if update.reset == "value":
            found["reset_value"] = update.reset_value
    return found


def _known(update: Update, uniform: dict[str, Any], more: dict[str, Any]) -> Neuron | None:
    """One of the models without numbers for each neuron, where there is one."""
    decay, gain = uniform["decay"], uniform["gain"]
    if uniform["offset"] != 0 or uniform["rest"] != 0:
        return None
    one, scaled = np.float32(gain) == 1, np.float32(gain) == np.float32(1 - decay)
    firing: dict[str, Any] = {}
    if update.threshold is not None:
        if uniform["threshold"] <= 0:
            return None
        firing = {"threshold": uniform["threshold"], **_firing(update, uniform.get("reset_value")), **more}
    if update.synapse is not None:
        plain = one and np.float32(uniform["synapse_gain"]) == 1 and update.reset != "subtract_whole"
        if not firing or not plain:
            return None
        return SynapticLIF(decay=decay, synapse_decay=uniform["synapse_decay"], **firing)
    if firing and decay == 1 and one:
        return IF(**firing)
    if not one and not scaled:
        return None
    gains: Any = "one" if one else "one_minus_decay"
    if not firing:
        return LeakyIntegrator(decay=decay, input_gain=gains)
    leak: Any = "before_reset" if update.reset == "subtract_whole" else "before_input"
    return LIF(decay=decay, input_gain=gains, leak=leak, **firing)


def _firing(update: Update, value: float | None) -> dict[str, Any]:
    """How it fires and is reset, as the models' settings have it."""
    if update.reset != "value":
        return {"fires": update.fires, "reset": "subtract"}
    if value == 0:
        return {"fires": update.fires, "reset": "zero"}
    return {"fires": update.fires, "reset": "value", "reset_value": 0.0 if value is None else value}


def _affine(update: Update) -> type[Affine]:
    if update.several:
        if update.synapse is not None:
            raise Unreadable("neurons with a synaptic current that fire several times in a step are none that are read")
        return MultiSpikeLIF
    if update.synapse is None:
        return AffineIntegrator if update.threshold is None else AffineLIF
    return AffineSynapticIntegrator if update.threshold is None else AffineSynapticLIF


def _fitting(name: str, value: Array, shape: tuple[int, ...]) -> Array:
    if value.size == 1:
        return value.reshape(())
    if value.shape != shape:
        raise Unreadable(f"numbers for neurons of shape {list(value.shape)}, where samples have {list(shape)} ({name})")
    return value


def _one(value: Array) -> float | None:
    """The number that all neurons have; None where they differ in single precision."""
    first = value.reshape(-1)[0]
    return float(first) if bool((value.astype(np.float32) == np.float32(first)).all()) else None


def _tensor(value: Array, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.array(np.broadcast_to(value, shape), np.float32))

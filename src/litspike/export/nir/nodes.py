"""Updates of neurons as nodes of NIR, in NIR's own equations or as a library's reader understands them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from litspike.export.nir.updates import ONE, ZERO, Notes, Unsayable
from litspike.networks.nir.dialects import READERS, Array, Convention, Dialect, Integration, Update

_SLOWEST = 2.0**-60
"""Share that leaks where nothing does: too little for any float, so that there is a time constant."""
_SHORTEST = 1e-3
"""Steps of a time constant after which nothing remains."""


@dataclass(frozen=True)
class Target:
    """What is written for.

    Args:
        dialect: the library; None for NIR's own equations.
        dt: seconds of a step.
        integration: how the reader integrates.
    """

    dialect: Dialect | None
    dt: float
    integration: Integration

    @property
    def convention(self) -> Convention:
        """How the reader understands the numbers."""
        return Convention(self.integration, self.dt) if self.dialect is None else READERS[self.dialect]

    def only(self, setting: str, *dialects: Dialect) -> None:
        """Refuse what the readers of other libraries don't know."""
        if self.dialect is not None and self.dialect not in dialects:
            raise Unsayable(setting, f"is nothing that {self.dialect}'s reader knows")


def node_of(update: Update, shape: Sequence[int], target: Target, notes: Notes) -> tuple[str, dict[str, Array]]:
    """The kind of node for an update, and its fields.

    Raises:
        Unsayable: if there is none.
    """
    convention = target.convention
    if update.threshold is None:
        target.only("a layer without spikes", *(() if update.synapse else ("sinabs",)))
    elif update.synapse is not None:
        target.only("a synaptic current", "snntorch", "spikingjelly", "norse")
    update = _with_reset(update, convention, notes)
    share, update = _leaking(update, target)
    if update.offset.any():
        target.only("a resting potential", *(("norse",) if update.synapse is None else ()))
    if bool((np.abs(update.rest * share - update.offset) > 1e-6 * np.abs(update.offset)).any()):
        unsettled = "a potential at rest other than where it settles"
        notes.approximate(unsettled, "has no place in NIR", "one that starts where it settles")
    fields, kind = _fields(update, share, target)
    _check_limits(kind, fields, target)
    dtype = np.float32 if target.dialect == "sinabs" else np.float64
    # sinabs' reader takes time constants of one dimension alone, and broadcasts a single one over an image
    wide = (1,) if target.dialect == "sinabs" and len(shape) > 1 else tuple(shape)
    try:
        return kind, {name: np.array(np.broadcast_to(value, wide), dtype) for name, value in fields.items()}
    except ValueError as problem:
        raise Unsayable("numbers for each neuron of an image", "are nothing that sinabs's reader knows") from problem


def _with_reset(update: Update, convention: Convention, notes: Notes) -> Update:
    """An update that fires and is reset as the reader has it."""
    if update.threshold is None:
        return update
    if convention.reset in ("value", "zero"):
        if update.reset != "value":
            notes.approximate("reset: subtract", "has no place in NIR", "a reset to zero")
            update = replace(update, reset="value", reset_value=ZERO)
        if convention.reset == "zero" and update.reset_value.any():
            notes.approximate("reset: value", "is nothing that the reader knows", "a reset to zero")
            update = replace(update, reset_value=ZERO)
    elif update.reset != convention.reset:
        setting = "a subtracted threshold that doesn't leak" if update.reset == "subtract_whole" else "reset: zero"
        notes.approximate(setting, "is nothing that the reader knows", "reset: subtract")
        update = replace(update, reset="subtract")
    if update.several != convention.several:
        often, once = "neurons that fire several times in a step", "neurons that fire once in a step"
        setting, instead = (often, once) if update.several else (once, often)
        notes.approximate(setting, "are nothing that the reader knows", instead)
        update = replace(update, several=convention.several)
    assert update.threshold is not None
    threshold = update.threshold
    if update.fires != convention.fires:  # u ≥ θ is u > the number before it, in single precision
        towards = np.float32(-np.inf if update.fires == "at" else np.inf)
        threshold = np.nextafter(threshold.astype(np.float32), towards).astype(np.float64)
    return replace(update, threshold=threshold, fires=convention.fires)


def _leaking(update: Update, target: Target) -> tuple[Array, Update]:
    """The share of the potential that leaks in a step, and the update with the gain that the reader understands."""
    share = np.maximum(1 - update.decay, _SLOWEST)
    spiking = update.threshold is not None
    target_gain: Array | None = None
    if target.dialect == "norse":
        if update.synapse is None:
            target_gain = ONE if bool((update.decay == 1).all()) else share
    elif target.dialect == "spikingjelly" and update.synapse is None and _is(update.gain, share):
        target_gain = share
    elif target.dialect is not None:
        target_gain = ONE
    if target_gain is None:
        return share, update
    factor = target_gain / np.where(update.gain == 0, np.nan, update.gain)
    if update.synapse is not None and target.dialect in ("snntorch", "spikingjelly"):
        decay, gain = update.synapse
        factor = factor / np.where(gain == 0, np.nan, gain)
        update = replace(update, synapse=(decay, ONE))
    if not spiking and not _is(factor, ONE):
        raise Unsayable("a gain of the input", f"is nothing that {target.dialect}'s reader knows")
    if not bool((factor > 0).all()):
        raise Unsayable("a gain of the input that is not above 0", f"is nothing that {target.dialect}'s reader knows")
    if not spiking or _is(factor, ONE):
        return share, replace(update, gain=target_gain)
    assert update.threshold is not None
    return share, replace(
        update,
        gain=target_gain,
        offset=update.offset * factor,
        rest=update.rest * factor,
        threshold=update.threshold * factor,
        reset_value=update.reset_value * factor,
    )


def _fields(update: Update, share: Array, target: Target) -> tuple[dict[str, Array], str]:
    fields: dict[str, Array] = {}
    spiking = update.threshold is not None
    resistance = target.dialect not in ("norse", "sinabs")
    without_leak = bool((update.decay == 1).all()) and update.synapse is None and not update.offset.any()
    if without_leak and target.dialect not in ("snntorch", "sinabs"):
        fields["r"] = update.gain / target.dt if resistance else ONE
        kind = "IF" if spiking else "I"
    else:
        tau = "tau" if update.synapse is None else "tau_mem"
        fields[tau] = _time_constant(share, update.decay, target)
        fields["r"] = update.gain / share if resistance or update.synapse else ONE
        fields["v_leak"] = update.offset / share
        kind = "LIF" if spiking else "LI"
    if update.synapse is not None:
        decay, gain = update.synapse
        leaking = np.maximum(1 - decay, _SLOWEST)
        fields |= {"tau_syn": _time_constant(leaking, decay, target), "w_in": gain / leaking}
        kind = f"Cuba{kind}"
    if update.threshold is not None:
        fields |= {"v_threshold": update.threshold, "v_reset": update.reset_value}
    return fields, kind


def _time_constant(share: Array, decay: Array, target: Target) -> Array:
    """Of a state of which a share leaks in a step."""
    if target.integration == "euler":
        return target.dt / share
    with np.errstate(divide="ignore"):
        steps = np.where(decay == 1, 1 / _SLOWEST, -1 / np.log(np.where(decay == 1, 0.5, decay)))
    return target.dt * np.maximum(steps, _SHORTEST)


def _check_limits(kind: str, fields: dict[str, Array], target: Target) -> None:
    """Refuse what a library's reader has no place for."""
    if target.dialect == "spikingjelly":
        for name, value in fields.items():
            if not _is(value, value.reshape(-1)[0]):
                raise Unsayable(f"numbers for each neuron ({name})", "are nothing that spikingjelly's reader knows")
        if kind == "LIF" and bool((fields["tau"] <= target.dt).any()):
            raise Unsayable("decay: 0", "is nothing that spikingjelly's reader knows")
        if kind == "LIF" and fields["v_reset"].any():
            raise Unsayable("reset: value", "is nothing that spikingjelly's reader knows beside a leak to zero")
    if target.dialect == "snntorch" and not _is(fields["v_threshold"], fields["v_threshold"].reshape(-1)[0]):
        raise Unsayable("a threshold for each neuron", "is nothing that snntorch's reader knows")


def _is(value: Any, other: Any) -> bool:
    """Whether numbers are the same in single precision."""
    return bool((np.asarray(value, np.float32) == np.asarray(other, np.float32)).all())

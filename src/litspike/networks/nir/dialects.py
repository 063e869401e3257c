"""What NIR's equations mean in time steps, and what each library makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from litspike.settings import UserError

Array = npt.NDArray[np.float64]
Integration = Literal["euler", "exact"]
Dialect = Literal["snntorch", "spikingjelly", "norse", "sinabs"]
DIALECTS: tuple[Dialect, ...] = ("snntorch", "spikingjelly", "norse", "sinabs")


@dataclass(frozen=True)
class Update:
    """A layer of neurons as the numbers of its update in one step, arrays that broadcast over a sample, [*]::

    i ← i · α + x · ω        only with a synapse
    u ← u · β + i · γ + c    of the current i, or of the input x
    s = 1 if u > θ or u ≥ θ  only with a threshold
    """

    decay: Array
    gain: Array
    offset: Array = field(default_factory=lambda: np.zeros(()))
    rest: Array = field(default_factory=lambda: np.zeros(()))
    """The potential before the first step."""
    synapse: tuple[Array, Array] | None = None
    """α and ω."""
    threshold: Array | None = None
    fires: Literal["at", "above"] = "above"
    reset: Literal["value", "subtract", "subtract_whole"] = "value"
    """To a value; by the threshold, which leaks in the next step; or by a threshold that doesn't."""
    reset_value: Array = field(default_factory=lambda: np.zeros(()))
    several: bool = False
    """Whether it fires ⌊u / θ⌋ times."""


@dataclass(frozen=True)
class Convention:
    """How numbers of a file are understood."""

    integration: Integration
    dt: float | None
    """Seconds of a step, in the unit of the file's time constants; None where only a user can say."""
    fires: Literal["at", "above"] = "above"
    reset: Literal["value", "zero", "subtract", "subtract_whole"] = "value"
    several: bool = False
    gain: Literal["resistance", "one", "normalised"] = "resistance"
    """What an input is multiplied by: as r says, by 1, or by the share that leaks, as r = 1 would say."""
    integrator_gain: Literal["resistance", "one"] = "resistance"
    """The same for neurons without a leak."""
    synapse_gain: Literal["weight", "one"] = "weight"
    tau_per_dt: bool = False
    """Whether time constants are stored multiplied by dt once more."""


_STEP = Convention("euler", 1e-4)
_SINABS = Convention("exact", 1.0, "at", "subtract", several=True, integrator_gain="one")
_NORSE = Convention("euler", 1e-3, gain="normalised", reset="zero", integrator_gain="one")

READERS: dict[Dialect, Convention] = {
    "snntorch": replace(_STEP, reset="zero"),
    "spikingjelly": replace(_STEP, fires="at"),
    "norse": _NORSE,
    "sinabs": replace(_SINABS, gain="one"),
}
"""What each library's reader understands."""
WRITERS: dict[Dialect, Convention] = {
    "snntorch": replace(_STEP, reset="zero"),
    "spikingjelly": replace(_STEP, fires="at"),
    "norse": replace(_NORSE, tau_per_dt=True, synapse_gain="one"),
    "sinabs": _SINABS,
}
"""What each library's writer means; Norse's and sinabs' readers understand something else."""


class Unreadable(UserError):
    """A node says something that can't be run: the text names the field."""


def update_of(kind: str, fields: Mapping[str, Any], convention: Convention) -> Update:
    """The update of a layer of neurons that NIR's equations stand for.

    With the share ``λ = dt / τ`` that leaks in a step (forward Euler), or ``1 − exp(−dt / τ)`` (the exact solution for
    an input that is constant in the step)::

        τ dv/dt = (v_leak − v) + r I    becomes    v ← v · (1 − λ) + λ · (v_leak + r I)
        dv/dt = r I                     becomes    v ← v + dt · r I

    and likewise for the synaptic current, which is updated first.

    Args:
        kind: of the node.
        fields: its fields.
        convention: how they are understood, with a dt where there is a time constant.

    Raises:
        Unreadable: if a number has no meaning.
    """
    numbers = {name: _finite(name, value) for name, value in fields.items()}
    shapes = {value.shape for value in numbers.values() if value.size != 1}
    if len(shapes) > 1:
        raise Unreadable(f"numbers for neurons of the shapes {', '.join(str(list(one)) for one in sorted(shapes))}")
    numbers = {name: value if value.size != 1 else value.reshape(()) for name, value in numbers.items()}
    dt = convention.dt
    if dt is None:
        raise Unreadable("the file doesn't say how long a step is: set dt, in seconds")
    rest = offset = np.zeros(())
    synapse = None
    if kind in ("I", "IF"):
        decay = np.ones(())
        gain = numbers["r"] * dt if convention.integrator_gain == "resistance" else np.ones(())
    else:
        name = "tau_mem" if kind.startswith("Cuba") else "tau"
        share, decay = _leak(name, numbers[name], dt, convention)
        gain = {
            "resistance": numbers["r"] * share,
            "one": np.ones(()),
            "normalised": share * (numbers["r"] if kind.startswith("Cuba") else 1.0),
        }[convention.gain]
        rest, offset = numbers["v_leak"], share * numbers["v_leak"]
    if kind.startswith("Cuba"):
        leaking, synapse_decay = _leak("tau_syn", numbers["tau_syn"], dt, convention)
        weight = numbers.get("w_in", np.ones(()))
        synapse = synapse_decay, weight * leaking if convention.synapse_gain == "weight" else np.ones(())
    plain = Update(decay, gain, offset, rest, synapse)
    if kind in ("I", "LI", "CubaLI"):
        return plain
    value = numbers.get("v_reset", np.zeros(()))
    return replace(
        plain,
        threshold=numbers["v_threshold"],
        fires=convention.fires,
        reset="value" if convention.reset == "value" or convention.reset == "zero" else convention.reset,
        reset_value=value if convention.reset == "value" else np.zeros(()),
        several=convention.several,
    )


def _leak(name: str, tau: Array, dt: float, convention: Convention) -> tuple[Array, Array]:
    """The share of a state that leaks in a step, and the share that remains."""
    if bool((tau <= 0).any()):
        raise Unreadable(f"{name}: {tau.min():g} is no time constant, which is above 0")
    unit = dt * dt if convention.tau_per_dt else dt
    if convention.integration == "exact":
        return -np.expm1(-unit / tau), np.exp(-unit / tau)
    share = unit / tau
    if bool((share > 1 + 1e-6).any()):
        raise Unreadable(f"{name}: {tau.min():g} is below a step of {unit:g}, where forward Euler overshoots")
    return share, np.maximum(1 - share, 0.0)


def _finite(name: str, value: Any) -> Array:
    if isinstance(value, str):
        raise Unreadable(f"{name}: {value!r}, where numbers should be")
    numbers = np.asarray(value, np.float64)
    if not numbers.size:
        raise Unreadable(f"{name} is empty")
    if not bool(np.isfinite(numbers).all()) or bool((np.abs(numbers) > np.finfo(np.float32).max).any()):
        raise Unreadable(f"{name} holds a number that is not finite in single precision")
    return numbers

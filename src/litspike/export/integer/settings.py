"""How a network is written in integers."""

from __future__ import annotations

from typing import NamedTuple

from litspike.networks.quantised import ScaleRule


class Settings(NamedTuple):
    """How a network is written in integers."""

    bits: int
    """Of a weight, with its sign: 2 to 8."""
    scale: ScaleRule
    states: int
    """Bits of a state, a current and a constant: 16 or 32."""

"""The energy of synaptic operations."""

from __future__ import annotations

MAC_PJ = 4.6
"""Energy of a multiply–accumulate of float32 numbers, in picojoules: 3.7 for the product, 0.9 for the sum."""

AC_PJ = 0.9
"""Energy of a sum of float32 numbers, in picojoules."""

SOURCE = "Horowitz 2014, Computing's energy problem (and what we can do about it), ISSCC; float32, 45 nm, 0.9 V"

NOT_COUNTED = "memory traffic, the neurons' own updates, biases, batch norm, pooling, encoder and readout"
"""What :func:`energy` leaves out; on most hardware memory takes more than arithmetic."""


def energy(macs: float, acs: float) -> float:
    """Energy of synaptic operations, ``4.6 pJ · MACs + 0.9 pJ · ACs``, in nanojoules.

    It is that of the arithmetic alone, in 45 nm CMOS; see :data:`NOT_COUNTED`.

    Args:
        macs: number of multiply–accumulates.
        acs: number of accumulates.

    Source: Horowitz 2014, "Computing's energy problem (and what we can do about it)".
    """
    return (MAC_PJ * macs + AC_PJ * acs) / 1000

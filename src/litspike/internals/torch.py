"""What litspike uses of torch's private parts outside of the engine."""

from __future__ import annotations

from typing import Any

from torch import distributed


def process_store() -> Any:
    """The store of names and values that the processes of a training meet at.

    A store of our own would need a second port, on which a cluster's firewall has the last word.
    """
    return distributed.distributed_c10d._get_default_store()

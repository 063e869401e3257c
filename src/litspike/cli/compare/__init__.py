"""``compare``: runs side by side, on the console and on a page with their curves."""

from litspike.cli.compare.command import ABOUT, compare

__all__ = ["ABOUT", "compare"]

"""``new``: a starting point for a project of the user's own."""

from litspike.cli.new.command import new

__all__ = ["new"]

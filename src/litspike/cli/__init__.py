"""The command line: ``python main.py fit``, ``validate``, ``test`` and ``predict``."""

from litspike.cli.entry import main

__all__ = ["main"]

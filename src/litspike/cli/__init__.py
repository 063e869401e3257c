"""The command line: ``python main.py fit``, ``validate``, ``test`` and ``predict``."""

from litspike.cli.app import main

__all__ = ["main"]

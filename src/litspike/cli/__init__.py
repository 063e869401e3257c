"""The command line: ``python main.py fit``, ``validate``, ``test``, ``predict`` and ``compare``."""

from litspike.cli.main import main

__all__ = ["main"]

"""``sweep``: settings are tried by Optuna, on training and validation data alone."""

from litspike.cli.sweep.command import sweep

__all__ = ["sweep"]

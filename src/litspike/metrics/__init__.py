"""Figures of merit, as torchmetrics and plain functions."""

from litspike.metrics.wilson import wilson_interval

__all__ = ["wilson_interval"]

"""Callbacks: what a run says, shows and writes."""

from litspike.callbacks.calibration import Calibration
from litspike.callbacks.checkup import CheckUp
from litspike.callbacks.console import Console
from litspike.callbacks.pictures import PictureFiles, Pictures
from litspike.callbacks.predictions import PredictionFile
from litspike.callbacks.progress import FitProgress
from litspike.callbacks.receipt import Receipt
from litspike.callbacks.steps import StepLog

__all__ = [
    "Calibration",
    "CheckUp",
    "Console",
    "FitProgress",
    "PictureFiles",
    "Pictures",
    "PredictionFile",
    "Receipt",
    "StepLog",
]

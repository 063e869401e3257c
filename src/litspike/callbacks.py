"""Callbacks: what a run says, shows and writes."""

from litspike.reports.calibration import Calibration
from litspike.reports.checkup.callback import CheckUp
from litspike.reports.console import Console
from litspike.reports.pictures.callback import AnimationFile, PictureFiles, Pictures
from litspike.reports.predictions import PredictionFile
from litspike.reports.progress import FitProgress
from litspike.reports.quantisation import QuantisedWeights
from litspike.reports.receipt.callback import Receipt
from litspike.reports.step_log import StepLog

__all__ = [
    "AnimationFile",
    "Calibration",
    "CheckUp",
    "Console",
    "FitProgress",
    "PictureFiles",
    "Pictures",
    "PredictionFile",
    "QuantisedWeights",
    "Receipt",
    "StepLog",
]

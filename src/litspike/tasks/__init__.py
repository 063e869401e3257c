"""Tasks: what a network is trained to do, as LightningModules, with their losses."""

from litspike.tasks.carried import CarriedClassification
from litspike.tasks.classification import Classification
from litspike.tasks.losses import (
    BinaryCrossEntropy,
    ClassificationLoss,
    CrossEntropy,
    Loss,
    MeanSquaredError,
    TemporalCrossEntropy,
)

__all__ = [
    "BinaryCrossEntropy",
    "CarriedClassification",
    "Classification",
    "ClassificationLoss",
    "CrossEntropy",
    "Loss",
    "MeanSquaredError",
    "TemporalCrossEntropy",
]

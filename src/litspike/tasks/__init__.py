"""Tasks: what a network is trained to do, as LightningModules, with their losses and regularisers."""

from litspike.tasks.carried import CarriedClassification
from litspike.tasks.classification import Classification
from litspike.tasks.classification_losses import (
    BinaryCrossEntropy,
    ClassificationLoss,
    CrossEntropy,
    MultiLabelCrossEntropy,
    TemporalCrossEntropy,
)
from litspike.tasks.losses import Loss, MeanSquaredError
from litspike.tasks.regression import Regression
from litspike.tasks.regularisers import RateBand
from litspike.tasks.task import Task

__all__ = [
    "BinaryCrossEntropy",
    "CarriedClassification",
    "Classification",
    "ClassificationLoss",
    "CrossEntropy",
    "Loss",
    "MeanSquaredError",
    "MultiLabelCrossEntropy",
    "RateBand",
    "Regression",
    "Task",
    "TemporalCrossEntropy",
]

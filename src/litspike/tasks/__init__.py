"""Tasks: what a network is trained to do, as LightningModules."""

from litspike.tasks.carried import CarriedClassification
from litspike.tasks.classification import Classification

__all__ = ["CarriedClassification", "Classification"]

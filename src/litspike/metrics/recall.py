"""How many samples of each class are found."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from litspike.arguments import typed
from litspike.settings import integer


class ClassRecall(Metric):
    r"""Number of samples of each class or label, and how many of them are predicted to be of it.

    Equation: the recall of class c is ``found_c / samples_c``, and the balanced accuracy its mean over the classes.

    Update: ``recall.update(predictions, labels)``, classes [B], or labels 0 or 1 [B, L]. Compute: int64 ``samples`` and
    ``found``, each [classes], added up over processes.

    Args:
        classes: number of classes, or of labels.

    Raises:
        SettingError: if it is below 1.

    Example:
        >>> import torch
        >>> from litspike.metrics import ClassRecall
        >>> recall = ClassRecall(2)
        >>> recall.update(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0]))  # predictions and labels
        >>> recall.compute()
        {'samples': tensor([2, 1]), 'found': tensor([1, 1])}
    """

    full_state_update = False
    samples: Tensor
    found: Tensor

    @typed
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = integer("classes", classes)
        for name in ("samples", "found"):
            self.add_state(name, torch.zeros(classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, labels: Tensor) -> None:
        r"""Take in a batch, [B] or [B, L]."""
        chosen, true = (self._marks(values) for values in (predictions, labels))
        self.samples += true.sum(0)
        self.found += (chosen & true).sum(0)

    def _marks(self, values: Tensor) -> Tensor:
        """Which classes each sample has, boolean [B, classes]."""
        if values.dim() > 1:
            return values != 0
        return values.long()[:, None] == torch.arange(self.classes, device=values.device)

    def compute(self) -> dict[str, Tensor]:
        """The counts of each class."""
        return {"samples": self.samples, "found": self.found}

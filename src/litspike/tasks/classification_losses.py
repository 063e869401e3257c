"""Losses over classes or labels, which also say what the network's answer is."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import torch
from torch import Size, Tensor
from torch.nn import functional

from litspike.arguments import typed
from litspike.coding.valid import mean_over_steps
from litspike.settings import SettingError, UserError, number
from litspike.tasks.losses import Loss, check_samples, check_tensors

Weights = list[float] | Literal["balanced"] | None
"""What the loss of a sample of each class is multiplied by."""


class ClassificationLoss(Loss):
    """A loss over classes, which are counted from 0. The targets are labels [B], integers of any dtype.

    Equation of the weight of class c, with n_c of N training samples in class c of C, where it is ``balanced``::

        w_c = N / (C · n_c)

    Args:
        class_weights: a weight for each class, or ``balanced``: measured when a first fit begins, kept in checkpoints.

    Raises:
        SettingError: if a weight is not above 0.
    """

    @typed
    def __init__(self, class_weights: Weights = None) -> None:
        if isinstance(class_weights, str) and class_weights != "balanced":
            raise SettingError("class_weights", class_weights, "is neither balanced nor a number for each class")
        self.class_weights = class_weights
        self.weights: Tensor | None = None
        """The weight of each class, float32 [C]; None where all are 1, or not measured yet."""
        if isinstance(class_weights, list):
            self.weights = torch.tensor([number("class_weights", weight, "(0, inf)") for weight in class_weights])

    def balance(self, counts: Tensor) -> None:
        """Measure the weights from the number of training samples of each class, [C].

        Raises:
            UserError: if a class has none.
        """
        if bool((counts == 0).any()):
            missing = int((counts == 0).nonzero()[0])
            raise UserError(f"model.loss.class_weights: class {missing} has no training sample to balance it by")
        self.weights = (counts.sum() / (len(counts) * counts.double())).float().cpu()

    def weighed(self, losses: Tensor, target: Tensor) -> Tensor:
        """The mean of the samples' losses [B] or [T, B], each by the weight of its class."""
        if self.weights is None:
            return losses.mean()
        return (losses * self.weights.to(losses)[target.long()]).mean()

    def check_weights(self, classes: int) -> None:
        """Raise :class:`UserError` where there is not a weight for each class."""
        if self.weights is not None and len(self.weights) != classes:
            raise UserError(f"model.loss.class_weights: there are {len(self.weights)} weights for {classes} classes")

    @abstractmethod
    def predictions(self, value: Tensor) -> Tensor:
        r"""The class of each sample, int64 [B], from the readout's value [B, \*]."""

    @abstractmethod
    def probabilities(self, value: Tensor) -> Tensor:
        r"""What the readout's value [B, \*] says of the classes: of class 1 alone [B] where there is one logit, else
        of each class [B, C].
        """


class BinaryCrossEntropy(ClassificationLoss):
    """Cross-entropy of two classes from one logit.

    Equation, with y = 0 or 1 and logit z::

        L = −(1/B) Σ_b [y ln σ(z) + (1 − y) ln(1 − σ(z))]

    The readout's value is [B, 1]; class 1 is predicted where z > 0.

    Example:
        >>> import torch
        >>> from litspike.tasks import BinaryCrossEntropy
        >>> outputs = torch.zeros(5, 2, 1)  # [T, B, 1], which this loss doesn't need
        >>> BinaryCrossEntropy()(torch.tensor([[2.0], [-1.0]]), outputs, torch.tensor([1, 0]))
        tensor(0.2201)
    """

    def __call__(self, value: Tensor, outputs: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The loss of logits [B, 1]."""
        check_tensors(self, value, outputs, target)
        value, goal = value.squeeze(1), target.to(value.dtype)
        if self.weights is None:
            return functional.binary_cross_entropy_with_logits(value, goal)
        return self.weighed(functional.binary_cross_entropy_with_logits(value, goal, reduction="none"), target)

    def check(self, shape: Size, target: Tensor) -> None:
        """Raise :class:`UserError` unless there is one logit a sample, and each label is 0 or 1."""
        if shape[1:] != (1,):
            raise UserError(f"the network gives {list(shape[1:])} outputs a sample; two classes need one logit")
        self.check_weights(2)
        _check_labels(shape, target, 2, "one logit tells two classes, 0 and 1, apart; CrossEntropy takes more")

    def predictions(self, value: Tensor) -> Tensor:
        """[B, 1] → 0 or 1, [B]."""
        return (value.squeeze(1) > 0).long()

    def probabilities(self, value: Tensor) -> Tensor:
        """[B, 1] → the probability of class 1, [B]."""
        return value.squeeze(1).sigmoid()


class CrossEntropy(ClassificationLoss):
    """Cross-entropy of two or more classes, from one logit for each.

    Equation, with label y and logits z_c::

        L = −(1/B) Σ_b ln softmax(z)_y

    The readout's value is [B, C].

    Example:
        >>> import torch
        >>> from litspike.tasks import CrossEntropy
        >>> logits = torch.tensor([[2.0, 0.0, -1.0]])
        >>> loss = CrossEntropy()
        >>> loss(logits, logits.expand(5, 1, 3), torch.tensor([0])), loss.probabilities(logits)
        (tensor(0.1698), tensor([[0.8438, 0.1142, 0.0420]]))
    """

    def __call__(self, value: Tensor, outputs: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The loss of logits [B, C]."""
        check_tensors(self, value, outputs, target)
        if self.weights is None:
            return functional.cross_entropy(value, target.long())
        return self.weighed(functional.cross_entropy(value, target.long(), reduction="none"), target)

    def check(self, shape: Size, target: Tensor) -> None:
        """Raise :class:`UserError` unless there are two logits a sample or more, and each label is one of theirs."""
        if len(shape) != 2 or shape[1] < 2:
            raise UserError(f"the network gives {list(shape[1:])} outputs a sample; classes need one each, 2 or more")
        self.check_weights(shape[1])
        _check_labels(shape, target, shape[1], f"the network gives {shape[1]} outputs a sample, one for each class")

    def predictions(self, value: Tensor) -> Tensor:
        """[B, C] → the class with the largest logit, [B]."""
        return value.argmax(1)

    def probabilities(self, value: Tensor) -> Tensor:
        """[B, C] → the probability of each class, [B, C]."""
        return value.softmax(1)


class TemporalCrossEntropy(CrossEntropy):
    """Cross-entropy at every time step (TET), with a pull of every output towards one value.

    Equation, with outputs o_t [B, C] and CE of a batch as in :class:`CrossEntropy`::

        L = (1 − λ) · (1/T) Σ_t CE(o_t, y) + λ · (1/T) Σ_t mean (o_t − φ)²

    It learns from the outputs [T, B, C]; the readout, a mean over time in the source, gives the classes.

    Args:
        share: λ, the share of the pull, in [0, 1].
        level: φ, where outputs are pulled to, in their unit; the source has the neurons' threshold.
        class_weights: as in :class:`ClassificationLoss`, for CE.

    Raises:
        SettingError: if share is outside [0, 1], or level not finite.

    Source: Deng, Li, Zhang and Gu 2022, "Temporal efficient training of spiking neural network via gradient
    re-weighting".

    Example:
        >>> import torch
        >>> from litspike.tasks import TemporalCrossEntropy
        >>> logits = torch.tensor([[2.0, 0.0, -1.0]])
        >>> TemporalCrossEntropy(share=0.0)(logits, logits.expand(5, 1, 3), torch.tensor([0]))
        tensor(0.1698)
    """

    @typed
    def __init__(self, share: float = 0.001, level: float = 1.0, class_weights: Weights = None) -> None:
        super().__init__(class_weights)
        self.share = number("share", share, "[0, 1]")
        self.level = number("level", level, "(-inf, inf)")

    def __call__(self, value: Tensor, outputs: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The loss of outputs [T, B, C]."""
        check_tensors(self, value, outputs, target)
        every_step = target.expand(len(outputs), -1)
        pull = (outputs - self.level).square()
        if lengths is None:
            per_step = super().__call__(outputs.flatten(0, 1), outputs, every_step.flatten())
            return (1 - self.share) * per_step + self.share * pull.mean()
        each = functional.cross_entropy(outputs.flatten(0, 1), every_step.long().flatten(), reduction="none")
        per_sample = self.weighed(mean_over_steps(each.view_as(every_step), lengths), target)
        return (1 - self.share) * per_sample + self.share * mean_over_steps(pull, lengths).mean()


class MultiLabelCrossEntropy(ClassificationLoss):
    """Cross-entropy of several labels, each of which holds or doesn't, from one logit for each.

    Equation, with y = 0 or 1 and logit z of label l::

        L = −(1/BL) Σ_b Σ_l [y ln σ(z) + (1 − y) ln(1 − σ(z))]

    The readout's value is [B, L], and so are the targets; a label is predicted where z > 0.

    Example:
        >>> import torch
        >>> from litspike.tasks import MultiLabelCrossEntropy
        >>> logits = torch.tensor([[2.0, 0.0, -1.0]])
        >>> MultiLabelCrossEntropy()(logits, logits.expand(5, 1, 3), torch.tensor([[1, 0, 0]]))
        tensor(0.3778)
    """

    def __init__(self) -> None:
        super().__init__()

    def __call__(self, value: Tensor, outputs: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The loss of logits [B, L]."""
        check_tensors(self, value, outputs, target)
        return functional.binary_cross_entropy_with_logits(value, target.to(value.dtype))

    def check(self, shape: Size, target: Tensor) -> None:
        """Raise :class:`UserError` unless there is a label, 0 or 1, for each logit."""
        check_samples(shape, target)
        if target.shape[1:] != shape[1:] or len(shape) != 2:
            raise UserError(
                f"the network gives {list(shape[1:])} outputs a sample; the labels are {list(target.shape[1:])}"
            )
        if bool(((target != 0) & (target != 1)).any()):
            raise UserError("a label is neither 0 nor 1")

    def predictions(self, value: Tensor) -> Tensor:
        """[B, L] → 0 or 1, [B, L]."""
        return (value > 0).long()

    def probabilities(self, value: Tensor) -> Tensor:
        """[B, L] → the probability of each label, [B, L]."""
        return value.sigmoid()


def _check_labels(shape: Size, target: Tensor, classes: int, reason: str) -> None:
    check_samples(shape, target)
    if target.dim() != 1:
        raise UserError(f"the labels are {list(target.shape)}; a sample has one class, so they must be [{shape[0]}]")
    labels = target.long()
    broken = labels != target
    if bool(broken.any()):
        raise UserError(f"the label {target[broken][0].item():g} is not an integer")
    for label in (int(labels.min()), int(labels.max())):
        if not 0 <= label < classes:
            raise UserError(f"the label {label} is not one of 0 to {classes - 1}: {reason}")

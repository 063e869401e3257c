"""Training of weights as they will be in integers."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from litspike.networks.quantised import ScaleRule, faked
from litspike.settings import SettingError, UserError, integer


class QuantisedWeights(Callback):
    r"""Trains with weights rounded as an export in integers rounds them: quantisation-aware training.

    Equation, for each output channel of every Linear and convolution of the network::

        s = max |w| / (2^(bits − 1) − 1)        or the next power of two
        ŵ = s · ⌊w / s + ½⌋                      in every forward and backward pass, of training and of validation
        w ← w − η ∂L/∂ŵ                         the gradient goes straight through the rounding

    Checkpoints hold w, of which an export makes the same integers, and every command but a fit measures w. Biases and
    states aren't rounded: in an export they have 32, and 16 or 32 bits.

    Args:
        bits: of a weight, with its sign, 2 to 8; None trains as ever.
        scale: ``free`` or ``power_of_two``, as ``--scale`` of an export.

    Raises:
        SettingError: if bits is outside 2 to 8.

    Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-only
    inference"; Bengio, Léonard and Courville 2013, "Estimating or propagating gradients through stochastic neurons",
    for the gradient.

    Example:
        >>> from litspike.callbacks import QuantisedWeights
        >>> QuantisedWeights(bits=4).bits
        4
    """

    def __init__(self, bits: int | None = None, scale: ScaleRule = "free") -> None:
        if bits is not None and integer("bits", bits, 2) > 8:
            raise SettingError("bits", bits, "is above 8")
        self.bits, self.scale = bits, scale
        self._own: list[tuple[nn.Parameter, Tensor]] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse an optimizer that evaluates a batch several times: only the first would be rounded."""
        if self.bits is not None and any(isinstance(one, torch.optim.LBFGS) for one in trainer.optimizers):
            raise UserError("quantise.bits: LBFGS evaluates each batch several times: set another optimizer")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._round(pl_module)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._put_back()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Put the weights back where there was no backward pass."""
        self._put_back()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._round(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the weights back, before a checkpoint is written."""
        self._put_back()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._put_back()

    @torch.no_grad()
    def _round(self, module: Any) -> None:
        """Give every weight its rounded value; its own is put aside, of which autograd is to know nothing."""
        self._put_back()
        if self.bits is None:
            return
        for weight, rounded in faked(module.network, self.bits, self.scale):
            self._own.append((weight, weight.data))
            weight.data = rounded

    def _put_back(self) -> None:
        for weight, own in self._own:
            weight.data = own
        self._own = []

"""Pictures of what a network does, for TensorBoard."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from litspike.networks.watch import Seen, watched
from litspike.settings import whole
from litspike.tasks import BinaryCrossEntropy, Classification

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = 80
"""Points along each side of the plane that the decision boundary is computed on."""


class Pictures(Callback):
    """Draws the decision boundary of a network with two inputs, and the spikes of its hidden layers.

    Nothing is drawn where there is no TensorBoard logger. A picture that can't be made warns and stops nothing. Each
    one shows the network from rest, on validation samples.

    Args:
        every: epochs from one picture to the next; the last epoch is drawn too. 0 draws none.
        samples: number of validation samples whose spikes are shown.

    Raises:
        SettingError: if every is below 0 or samples below 1.
    """

    def __init__(self, every: int = 50, samples: int = 4) -> None:
        self.every, self.samples = whole("every", every, 0), whole("samples", samples)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, where this epoch is one to be drawn."""
        epoch = trainer.current_epoch + 1
        due = self.every and (epoch % self.every == 0 or epoch == trainer.max_epochs)
        shown = isinstance(trainer.logger, TensorBoardLogger) and _is_binary(pl_module)
        if not due or not shown or trainer.sanity_checking or trainer.state.fn != "fit" or not trainer.is_global_zero:
            return
        try:
            self._draw(trainer, pl_module, epoch)
        except Exception as error:  # a picture is not worth a run
            warnings.warn(f"no picture of epoch {epoch}: {error}", stacklevel=2)

    def _draw(self, trainer: Trainer, module: Any, epoch: int) -> None:
        loader: Any = trainer.val_dataloaders
        logger: Any = trainer.logger
        x, y = next(iter(loader))
        x, y = x.to(module.device), y.to(module.device)
        accuracy = float(trainer.callback_metrics.get("val/accuracy", float("nan")))
        title = f"epoch {epoch}, validation accuracy {accuracy:.3f}"
        drawn: dict[str, Figure] = dict(self._spikes(module, x, y, title))
        if x.shape[1:] == (2,):
            drawn["decision boundary"] = self._boundary(module, x, y, title)
        from litspike.callbacks.plots import pixels

        for name, figure in drawn.items():
            logger.experiment.add_image(name, pixels(figure), epoch, dataformats="HWC")

    def _boundary(self, module: Classification, x: Tensor, y: Tensor, title: str) -> Figure:
        from litspike.callbacks.plots import decision_boundary  # matplotlib is slow to import

        shown = x[:300]
        extent = float(shown.abs().max()) * 1.05
        ticks = torch.linspace(-extent, extent, GRID, device=x.device, dtype=x.dtype)
        grid = torch.cartesian_prod(ticks, ticks).flip(1)
        probability = module.loss.probabilities(module.respond(grid)[0]).view(GRID, GRID)
        return decision_boundary(probability.cpu().numpy(), extent, shown.cpu().numpy(), y[:300].cpu().numpy(), title)

    def _spikes(self, module: Classification, x: Tensor, y: Tensor, title: str) -> list[tuple[str, Figure]]:
        from litspike.callbacks.plots import spike_rasters

        chosen = torch.cat([(y == label).nonzero()[: -(-self.samples // 2), 0] for label in (0, 1)])[: self.samples]
        x, y = x[chosen], y[chosen]
        seen: list[Seen] = []
        with watched(module.network, seen.append):
            probability = module.loss.probabilities(module.respond(x)[0])
        captions = [
            (f"input ({point[0]:.2f}, {point[1]:.2f})\n" if point.numel() == 2 else "")
            + f"label {int(label)}, probability of 1: {chance:.2f}"
            for point, label, chance in zip(x, y, probability, strict=True)
        ]
        figures = []
        for number, (_, layer, _, spikes) in enumerate(seen, start=1):
            about = f"layer {number} ({type(layer).__name__}, {spikes[0, 0].numel()} neurons): spikes\n{title}"
            figures.append((f"spikes/layer {number}", spike_rasters(spikes.flatten(2).cpu().numpy(), captions, about)))
        return figures


def _is_binary(module: LightningModule) -> bool:
    """Whether the pictures, which are of two classes, suit the task."""
    return isinstance(module, Classification) and isinstance(module.loss, BinaryCrossEntropy)

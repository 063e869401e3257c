"""The check-up of a network while it trains: what its layers do, and what is wrong with them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from litspike.loggers import log_at, position
from litspike.metrics import Spread
from litspike.networks.watch import LayerCall, watched
from litspike.reports.checkup.collect import Gradient, WatchedLayer, gradient_norms
from litspike.reports.checkup.diagnose import (
    LastingProblems,
    LayerSummary,
    Limits,
    Messages,
    gradient_problems,
    layer_problems,
    nonfinite_gradients,
    output_problems,
)
from litspike.runs.collectives import same_everywhere
from litspike.settings import LitspikeWarning, UserError, integer, number
from litspike.tasks.batches import unpack
from litspike.tasks.task import Task
from litspike.terminal import say


class CheckUp(Callback):
    """Logs what each layer does, and prints one message per problem, with what usually helps, once a fit.

    Logged once an epoch: of each spiking layer, on all validation samples, the firing rate, the shares of neurons that
    never fire and that fire at every step, and, on the first 64, the share of membrane potentials inside the
    surrogate's window (:meth:`~litspike.surrogates.Surrogate.inside`); of each module with parameters, the norm of the
    gradient of the last training step, after clipping. Without validation there are the gradients alone. Layers that
    give no :meth:`~litspike.neurons.NeuronLayer.distance` from a threshold are left out, as they don't fire.

    It draws nothing at random and changes nothing. A failure of its own warns, and ends the check-up, not the fit.

    Args:
        every: epochs from one check to the next; 0 checks never.
        patience: number of checks in a row that have to find a problem before it is reported.
        max_silent: share of a layer's neurons without a spike from which on it mostly never fires.
        max_rate: spikes per neuron and step from which on a layer mostly always fires.
        min_inside: share of membrane potentials inside the surrogate's window below which they are outside it.
        min_gradient: norm of a gradient, as a part of that of the last layer, below which it has vanished.
        max_gradient: the same, above which it has exploded.

    Raises:
        SettingError: if every is below 0, patience below 1, max_silent or max_rate outside (0, 1], min_inside or
            min_gradient outside [0, 1), or max_gradient not above 1.
    """

    def __init__(
        self,
        every: int = 1,
        patience: int = 2,
        max_silent: float = 0.9,
        max_rate: float = 0.9,
        min_inside: float = 0.01,
        min_gradient: float = 1e-4,
        max_gradient: float = 1e3,
    ) -> None:
        self.every, self.patience = integer("every", every, 0), integer("patience", patience)
        self.limits = Limits(
            number("max_silent", max_silent, "(0, 1]"),
            number("max_rate", max_rate, "(0, 1]"),
            number("min_inside", min_inside, "[0, 1)"),
            number("min_gradient", min_gradient, "[0, 1)"),
            number("max_gradient", max_gradient, "(1, inf)"),
        )
        self._begin()

    def _begin(self) -> None:
        self._failed = False
        self._watching = ExitStack()
        self._layers: dict[str, WatchedLayer] = {}
        self._spread: Spread | None = None
        self._validated: list[LayerSummary] | None = None
        self._output_spread = math.nan
        self._lengths: Tensor | None = None
        self._of_layers, self._of_gradients = LastingProblems(self.patience), LastingProblems(self.patience)
        self._explained = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin()

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or not self._due(trainer):
            return
        self._guarded(self._watch, pl_module)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, *_: Any, **__: Any
    ) -> None:
        self._lengths = unpack(batch)[2] if isinstance(pl_module, Task) else None

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self._closely = False

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._watching.close()
        if trainer.sanity_checking or not self._due(trainer):
            return
        # of all processes or of none: one that failed would leave the others waiting for its numbers
        seen = None if self._failed else [layer.seen for layer in self._layers.values()]
        same = same_everywhere(trainer, (seen, None if self._spread is None else list(self._spread.low.shape)))
        self._guarded(self._sum_up, same)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._due(trainer):
            self._guarded(self._report, trainer, pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        # a gradient that isn't finite is reported before the error it leads to
        self._watching.close()
        if self.every and trainer.state.fn == "fit":
            self._guarded(self._report_nonfinite, trainer, pl_module)

    def _due(self, trainer: Trainer) -> bool:
        return self.every > 0 and trainer.state.fn == "fit" and (trainer.current_epoch + 1) % self.every == 0

    def _guarded(self, part: Callable[..., object], *arguments: Any) -> None:
        """Call a part of the check-up, which is not worth a run: none follows one that failed."""
        if self._failed:
            return
        try:
            part(*arguments)
        except Exception as error:
            self._failed = True
            cause = error.__cause__ or error  # a logger calls a full disk a value that it can't log
            warnings.warn(f"no further check-up: {type(cause).__name__}: {cause}", LitspikeWarning, stacklevel=3)

    def _watch(self, module: LightningModule) -> None:
        self._closely = True
        for layer in self._layers.values():
            layer.reset()
        self._watching.enter_context(watched(_network(module), lambda seen: self._guarded(self._update_layer, seen)))
        readout = getattr(module, "readout", None)
        if isinstance(readout, nn.Module):
            spread = self._spread = self._spread or Spread().to(module.device)
            spread.reset()
            hook = readout.register_forward_hook(lambda *call: self._guarded(spread.update, call[2]))
            self._watching.callback(hook.remove)

    def _update_layer(self, call: LayerCall) -> None:
        if call.name not in self._layers:
            self._layers[call.name] = WatchedLayer(call)
        self._layers[call.name].update(call, self._closely, self._lengths)

    def _sum_up(self, same: bool) -> None:
        if not same:
            raise UserError("it failed in another process, or other layers were called there")
        layers = [layer.summary() for layer in self._layers.values()]
        self._validated = [summary for summary in layers if summary is not None]
        self._output_spread = math.nan if self._spread is None else float(self._spread.compute())

    def _report(self, trainer: Trainer, module: LightningModule) -> None:
        epoch, gradients = trainer.current_epoch + 1, self._gradients(module)
        lines = nonfinite_gradients({gradient.label: gradient.norm for gradient in gradients}, epoch)
        if self._validated is not None:
            layers = {} if lines else self._diagnose(self._validated, epoch)  # meaningless after a NaN
            self._say(trainer, self._of_layers.update(layers))
        norms = {gradient.label: gradient.norm for gradient in gradients if gradient.connects}
        lines = lines or gradient_problems(norms, self.limits, epoch, self._explained)
        self._say(trainer, self._of_gradients.update(lines))
        self._log(trainer, gradients)
        self._validated = None

    def _diagnose(self, layers: Iterable[LayerSummary], epoch: int) -> Messages:
        lines: Messages = {}
        for layer in layers:
            lines |= layer_problems(layer, self.limits, epoch)
        self._explained = bool(lines)
        return lines or output_problems(self._output_spread, epoch)

    def _log(self, trainer: Trainer, gradients: Iterable[Gradient]) -> None:
        # TensorBoard's HParams tab shows the first five alone, by name: losses and scores come before these
        found = {f"weight gradient norm/{gradient.label}": gradient.norm for gradient in gradients}
        for layer in self._validated or []:
            found |= {f"validation {name}/{layer.label}": value for name, value in layer.logged().items()}
        if trainer.is_global_zero:
            log_at(trainer, found, position(trainer))

    def _gradients(self, module: LightningModule) -> list[Gradient]:
        return gradient_norms(_network(module), {name: layer.label for name, layer in self._layers.items()})

    def _report_nonfinite(self, trainer: Trainer, module: LightningModule) -> None:
        norms = {gradient.label: gradient.norm for gradient in self._gradients(module)}
        self._say(trainer, self._of_gradients.now(nonfinite_gradients(norms, trainer.current_epoch + 1)))

    def _say(self, trainer: Trainer, lines: Iterable[str]) -> None:
        for line in lines:
            say(trainer, f"check-up: {line}")


def _network(module: LightningModule) -> nn.Module:
    """The part of a task whose layers are named and numbered, as ``calibrate`` and the pictures do."""
    network = getattr(module, "network", None)
    return network if isinstance(network, nn.Module) else module

"""The calibration of a network before its first epoch."""

from __future__ import annotations

from itertools import chain, islice
from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from litspike.networks.calibrate import TOLERANCE, Calibrated, calibrate
from litspike.networks.sequence import neuron_layers
from litspike.runs.collectives import samples_of_all
from litspike.seeding import isolated
from litspike.settings import integer, number
from litspike.tasks.targets import training_batches
from litspike.terminal import say


class Calibration(Callback):
    """Scales the weights of a deep network so that no layer is born dead, and prints a line for each layer.

    It runs :func:`~litspike.networks.calibrate.calibrate` on the first training batches when a fit begins; one that
    goes on from a checkpoint is left alone. It leaves the random state as it was. Several processes measure on the
    batches of all, and go on with the first one's weights.

    Args:
        target_rate: spikes per neuron and step that each spiking layer is brought near.
        batches: number of training batches to measure on; 0 leaves every network alone.
        min_layers: networks with fewer layers of neurons are left alone, and so is a module of your own without an
            ``encoder`` and a ``network``, which a line says.

    Raises:
        SettingError: if target_rate is outside (0, 1), batches below 0 or min_layers below 1.
    """

    def __init__(self, target_rate: float = 0.05, batches: int = 4, min_layers: int = 3) -> None:
        self.target_rate = number("target_rate", target_rate, "(0, 1)")
        self.batches, self.min_layers = integer("batches", batches, 0), integer("min_layers", min_layers)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.batches == 0 or trainer.ckpt_path is not None:
            return
        network = getattr(pl_module, "network", None)
        if not isinstance(network, nn.Module) or not callable(getattr(pl_module, "encoder", None)):
            say(trainer, f"calibration: {type(pl_module).__name__} has no encoder and network and is left alone")
            return
        if len(list(neuron_layers(network))) < self.min_layers:
            return
        with isolated():
            report = calibrate(network, self._inputs(trainer, pl_module), self.target_rate)
        if trainer.world_size > 1:
            network.load_state_dict(trainer.strategy.broadcast(network.state_dict()))
        for layer in report:
            say(trainer, line(layer, self.target_rate))

    def _inputs(self, trainer: Trainer, module: Any) -> list[Tensor]:
        inputs: list[Tensor] = []
        for batch in chain(islice(training_batches(trainer), self.batches), [None]):
            if not trainer.strategy.reduce_boolean_decision(batch is not None):  # one process has no further
                break
            x = trainer.precision_plugin.convert_input(batch)[0]
            inputs.append(module.encoder(samples_of_all(x) if trainer.world_size > 1 else x))
        return inputs


def line(layer: Calibrated, target: float) -> str:
    """What the console says of one layer."""
    if layer.scale is None:
        return f"calibration: {layer.label}: left alone, mean output {layer.after:.4f}"
    missed = "" if abs(layer.after - target) <= 2 * TOLERANCE * target else f" (the target is {target:g})"
    change = f"firing rate {layer.before:.4f} → {layer.after:.4f}{missed}"
    return f"calibration: {layer.label}: {change}, weights × {layer.scale:.4g}"

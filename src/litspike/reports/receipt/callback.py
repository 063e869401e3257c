"""The receipt of a test: what a network can do, what it costs, and where these figures come from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning import Callback, LightningModule, Trainer

from litspike.files import file_hash, read_json, replace_json, replace_text, replacing
from litspike.loggers import boards
from litspike.metrics import EnergyModel
from litspike.reports.anytime import Curve
from litspike.reports.receipt.collect import Measurements
from litspike.reports.receipt.exports import exports_in
from litspike.reports.receipt.latency import latency
from litspike.reports.receipt.provenance import Origin, machine, text_hash, versions
from litspike.reports.receipt.render import markdown
from litspike.reports.receipt.summarise import anytime, classes, connections, energies, figures, layers, parameters
from litspike.settings import LitspikeWarning
from litspike.tasks.batches import unpack
from litspike.tasks.task import Task
from litspike.terminal import from_here

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Receipt(Callback):
    """Writes ``receipt.json`` and ``receipt.md`` when a test ends, and the anytime curve beside them.

    The receipt holds the metrics with their 95% intervals, parameters, time steps, firing rates, synaptic operations
    with an estimate of their energy, latency, seeds, versions and machine. The anytime curve, ``anytime.csv``,
    ``anytime.png`` and in TensorBoard, is the score that the readout gives after each time step, and the operations
    spent until then. All of it comes from the test's own pass, but for the latency, which is measured afterwards.
    What can't be measured is left out with its reason. On several processes the first one writes, for all.

    A receipt that can't be written warns, and the test goes on.

    Args:
        enabled: whether there is a receipt.
        energy: bits, and what operations and accesses to memory cost: ``energy.weight_bits``, ``energy.state_bits``,
            ``energy.multiply_pj`` and the others of :class:`~litspike.metrics.EnergyModel`.
    """

    def __init__(self, enabled: bool = True, energy: EnergyModel = EnergyModel()) -> None:  # noqa: B008  # it is frozen
        self.enabled, self.energy = enabled, energy
        self.origin: Origin | None = None
        """What is tested; found from the trainer where None."""
        self._measurements: Measurements | None = None

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        path = Path(trainer.ckpt_path) if trainer.ckpt_path else None
        # asked here, by every process: the trainer's own folder is agreed upon between them
        folder = path.parent if path else Path(trainer.log_dir or trainer.default_root_dir)
        self._origin = self.origin or Origin(folder, path)
        if self.enabled and isinstance(pl_module, Task):
            self._measurements = Measurements(pl_module)

    def on_test_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, *_: Any, **__: Any) -> None:
        if self._measurements is not None:
            self._measurements.lengths = unpack(batch)[2]

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any, **__: Any
    ) -> None:
        if self._measurements is not None:
            with trainer.precision_plugin.forward_context():  # as the test itself has read the outputs
                self._measurements.batch_end(batch[0], batch[1])

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._measurements is not None:
            self._measurements.close()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        measurements, self._measurements = self._measurements, None
        if not self.enabled:
            return
        if measurements is not None:
            measurements.close()
            measurements.agree(lambda here: bool(trainer.strategy.reduce_boolean_decision(here, all=True)))
            measurements.sum_up()
        if not trainer.is_global_zero:
            return
        with self._warning("receipt"):
            content, curve = self._content(trainer, pl_module, measurements)
            self._write(trainer, content)
            if curve is not None:
                with self._warning("anytime curve"):
                    self._draw(trainer, curve, int(content["epochs"] or 0))

    @contextmanager
    def _warning(self, what: str) -> Iterator[None]:
        """Warn of anything that goes wrong: a receipt is not worth a test."""
        try:
            yield
        except Exception as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
            warnings.warn(f"no {what} in {self._origin.folder}: {reason}", LitspikeWarning, stacklevel=2)

    def _content(
        self, trainer: Trainer, module: LightningModule, measurements: Measurements | None
    ) -> tuple[dict[str, Any], Curve | None]:
        """The content of the receipt, and the curve."""
        content = {
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            **_of_origin(self._origin),
            "epochs": getattr(module, "_epochs_trained", None),
            "samples": getattr(module, "samples", {}).get("test"),
            "figures": figures(trainer, module, measurements),
            "parameters": parameters(module),
        }
        left_out: dict[str, str] = {}
        curve = None
        if measurements is None:
            left_out["layers, operations, energy, latency, anytime"] = f"{type(module).__name__} is no litspike task"
        else:
            left_out |= measurements.left_out
            content |= {"time_steps": measurements.steps, "layers": layers(measurements)}
            if measurements.recall is not None and "classes" not in left_out:
                data: Any = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it from afar
                content["classes"] = classes(measurements.recall, getattr(data, "class_names", []))
                content["one_class_each"] = measurements.one_class_each
            if "operations" not in left_out:
                content["operations"] = connections(measurements)
                content["energy"] = energies(measurements, content, self.energy)
            curve = anytime(measurements, content["figures"])
            if curve is not None:
                content["anytime"] = _of_curve(curve)
            elif "anytime" not in left_out:
                left_out["anytime"] = "one time step makes no curve"
            if measurements.sample is not None:
                content["latency"] = latency(measurements.task, measurements.sample)
        of_machine = {**machine(module.device), "processes": trainer.world_size, "precision": str(trainer.precision)}
        content["exports"] = exports_in(self._origin.folder, content["checkpoint"].get("sha256"))
        return {**content, "left_out": left_out, "versions": versions(), "machine": of_machine}, curve

    def _write(self, trainer: Trainer, content: dict[str, Any]) -> None:
        folder = self._origin.folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("anytime.csv", "anytime.png") if "anytime" in read_json(folder / "receipt.json") else ():
            (folder / name).unlink(missing_ok=True)  # of another test
        replace_json(folder / "receipt.json", content)
        replace_text(folder / "receipt.md", markdown(content))
        bar = trainer.progress_bar_callback
        (bar.print if bar is not None else print)(f"receipt: {from_here(folder / 'receipt.md')}")

    def _draw(self, trainer: Trainer, curve: Curve, epoch: int) -> None:
        from litspike.reports.receipt.curve import anytime_curve  # matplotlib is slow to import

        folder, figure = self._origin.folder, anytime_curve(curve)
        replace_text(folder / "anytime.csv", curve.csv(self.energy))
        with replacing(folder / "anytime.png") as draft:
            figure.savefig(draft, format="png")
        for board in boards(trainer):
            _show(board.experiment, curve, figure, epoch)


def _show(writer: Any, curve: Curve, figure: Figure, epoch: int) -> None:
    """Give TensorBoard the curve, as numbers and as a picture."""
    from litspike.reports.pictures.style import pixels

    for index, (step, value) in enumerate(zip(curve.steps, curve.values, strict=True)):
        writer.add_scalar(f"test/over time/{curve.score} by time step", value, step)
        if curve.macs:
            writer.add_scalar(
                f"test/over time/{curve.score} by synaptic operations", value, round(curve.operations[index])
            )
    writer.add_image("anytime", pixels(figure), epoch, dataformats="HWC")


def _of_origin(origin: Origin) -> dict[str, Any]:
    checkpoint = {} if origin.checkpoint is None else _of_checkpoint(origin.checkpoint, origin.folder)
    trained = {} if origin.configuration is None else {"sha256": text_hash(origin.configuration)}
    configuration = {**trained, "changed_for_this_test": origin.changed}
    return {"checkpoint": checkpoint, "configuration": configuration, "seeds": origin.seeds}


def _of_checkpoint(path: Path, folder: Path) -> dict[str, str]:
    return {"file": os.path.relpath(path, folder), "sha256": file_hash(path)}


def _of_curve(curve: Curve) -> dict[str, Any]:
    operations = {"operations": curve.operations} if curve.macs else {}
    shown = {"score": curve.score, "steps": curve.steps, "values": curve.values, **operations}
    return {"file": "anytime.csv", "earliest_step_with_99_percent": curve.earliest(), **shown}

"""The subcommand that makes a spiking network of a checkpoint's ReLU network."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning import LightningDataModule, LightningModule, Trainer
from rich.table import Table
from torch import Tensor

from litspike.cli.trainer.data_parts import first_samples, test_part
from litspike.coding import ConstantCurrent, MeanOverTime
from litspike.export.command import TestPart
from litspike.export.folder import REPORT, hashes, replacing_folder
from litspike.figure_text import written
from litspike.files import replace_json
from litspike.networks.converted import balanced
from litspike.runs.checkpoints import AtomicCheckpointIO
from litspike.runs.contents import KEY
from litspike.seeding import isolated
from litspike.settings import UserError, integer, number
from litspike.tasks import Task
from litspike.tasks.batches import pair
from litspike.terminal import Terminal, from_here

_OF_THIS_CALL = ("logs", "ckpt_path", "steps", "percentile")
_SAMPLES = 512
"""Of the training part, whose activations scale the weights."""
NAME = "converted"


def add_convert_arguments(parser: Any) -> None:
    """What the subcommand has beside those of all."""
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--percentile", type=float, default=99.0)


def convert_checkpoint(
    trainer: Trainer,
    model: LightningModule,
    data: LightningDataModule,
    checkpoint: dict[str, Any],
    folder: Path,
    settings: dict[str, Any],
) -> None:
    """Write ``converted.yaml`` and ``converted.ckpt`` into a folder, and say what the network finds after each step.

    Args:
        trainer: whose number of test batches counts.
        model: without the checkpoint's weights.
        data: with a training and a test part.
        checkpoint: what is in the file.
        folder: the run's.
        settings: the whole configuration.

    Raises:
        UserError: if it can't be converted.
    """
    steps, percentile = integer("steps", settings["steps"]), number("percentile", settings["percentile"], "(0, 100]")
    if not isinstance(model, Task):
        raise UserError(f"convert: {type(model).__name__} is no litspike.tasks.Task, which alone can be converted")
    for part, kind in ((model.encoder, ConstantCurrent), (model.readout, MeanOverTime)):
        if type(part) is not kind:
            what = f"model.{'encoder' if kind is ConstantCurrent else 'readout'}"
            raise UserError(f"convert: {what}: {type(part).__name__} gives no rates, {kind.__name__} does")
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"])
    task = model.cpu().eval()
    with isolated(), replacing_folder(folder / NAME) as draft:
        data.trainer = trainer
        data.prepare_data()
        inputs = task.encoder(first_samples(task, data, "train", _SAMPLES, checkpoint))[0]
        spiking = copy.deepcopy(task)
        spiking.network, scales = balanced(task.network, inputs, percentile)
        spiking.encoder = ConstantCurrent(steps)
        config = _configuration(settings, steps)
        (draft / f"{NAME}.yaml").write_text(config, encoding="utf-8")
        names = ("epoch", "global_step", "pytorch-lightning_version", type(data).__qualname__)
        content = {name: checkpoint[name] for name in names if name in checkpoint}
        content |= {"state_dict": spiking.state_dict(), KEY: {"config": config}}
        spiking.on_save_checkpoint(content)  # what is measured of the data: the weights of classes, say
        AtomicCheckpointIO().save_checkpoint(content, draft / f"{NAME}.ckpt")
        before, after = _scores(task, spiking.eval(), test_part(trainer, task, data, checkpoint))
        name = task.test_metrics.scores[0].name
        report = {"scales": scales, "percentile": percentile, name: {"ReLU": before, "spikes": after}}
        replace_json(draft / REPORT, {**report, "files": hashes(draft)})
    table = Table("network", name)
    table.add_row("ReLU", written(before))
    for step, value in enumerate(after, start=1):
        table.add_row(f"spikes, after step {step}", written(value))
    Terminal().print(table)
    print(f"converted: {from_here(folder / NAME / NAME)}.ckpt, with {NAME}.yaml beside it")


def _configuration(settings: dict[str, Any], steps: int) -> str:
    """The configuration of the spiking network, as text."""
    config = copy.deepcopy({name: value for name, value in settings.items() if name not in _OF_THIS_CALL})
    model = config["model"]["init_args"]
    model["encoder"]["init_args"]["steps"] = steps
    # the default configuration has a neuron, which would be taken where there is none
    settings_of_neuron = {"threshold": 1.0, "reset": "subtract", "initial": 0.5}
    neuron = {"class_path": "litspike.neurons.IF", "init_args": settings_of_neuron}
    arguments = {"network": model["network"], "neuron": neuron}
    model["network"] = {"class_path": "litspike.networks.Converted", "init_args": arguments}
    return yaml.safe_dump(config, sort_keys=False)


@torch.no_grad()
def _scores(task: Task, spiking: Task, data: TestPart) -> tuple[float, list[float]]:
    """The first score of the test: of the ReLU network, and of the spiking one after each step."""
    score = task.test_metrics.scores[0]
    found: list[Tensor] = []
    for batch in data.batches:
        x, y = pair(batch)
        outputs = spiking.respond(x)[1]
        answers = [task(x), *(spiking.read(outputs[:step]) for step in range(1, len(outputs) + 1))]
        found.append(torch.stack([score.of_samples(answer, y).double() for answer in answers]))
    if not found:
        raise UserError("convert: the test data are empty")
    first, *others = torch.cat(found, 1).mean(1).tolist()
    return first, others

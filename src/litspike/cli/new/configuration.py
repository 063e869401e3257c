"""The configuration that suits a file: YAML with the reason beside each value."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from litspike.cli.new.profile import Profile
from litspike.data.tables import TextForm
from litspike.installation import program
from litspike.runs import yaml_text

_EPOCHS = (20, 200)
_UPDATES = 3000
"""Training steps that the number of epochs aims at."""
_SHOWN = 8
"""Columns that a comment names."""


def configuration(found: Profile, name: str) -> str:
    """The text of the configuration.

    Args:
        found: what the file holds.
        name: the configuration's.
    """
    size = _sizes(found)
    epochs = min(max(math.ceil(_UPDATES * size["batch"] / found.samples), _EPOCHS[0]), _EPOCHS[1])
    lines = [
        *_head(found, name),
        "trainer:",
        f"  max_epochs: {epochs}           # the checkpoint that is best on the validation data is kept",
        "model:",
        *_model(found, size, epochs),
        "data:",
        "  class_path: litspike.data.Arrays",
        "  init_args:",
        *_data(found, size),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def arguments(text: str) -> dict[str, Any]:
    """The arguments of the data module in a configuration's text."""
    found: dict[str, Any] = yaml.safe_load(text)["data"]["init_args"]
    return found


def summary(found: Profile) -> list[str]:
    """What was found, in a few lines."""
    names = {"table": ["features"], "sequences": ["steps", "features"], "images": ["channels", "rows", "columns"]}
    sizes = [
        f"{size} {name if size != 1 else name[:-1]}" for size, name in zip(found.shape, names[found.kind], strict=True)
    ]
    up_to = "up to " if found.lengths else ""
    lines = [f"{found.samples} samples of {up_to}{' × '.join(sizes)}", _task(found)]
    lines += [f"left out: {name!r} {why}" for name, why in list(found.left_out.items())[:_SHOWN]]
    if len(found.left_out) > _SHOWN:
        lines.append(f"left out: {len(found.left_out) - _SHOWN} other columns")
    if found.missing:
        lines.append(f"{found.missing} missing values become the median of the training samples")
    if found.labels.unbalanced:
        most, least = found.labels.counts[0], found.labels.counts[-1]
        lines.append(f"unbalanced: {most[1]} samples of {most[0]!r}, {least[1]} of {least[0]!r}: classes are weighed")
    return lines


def _task(found: Profile) -> str:
    of = ", ".join(map(repr, found.label[:_SHOWN])) or ("its folders" if found.path.is_dir() else "y")
    line = {
        "classification": f"{found.labels.outputs} classes in {of}",
        "regression": f"regression of {of}",
        "multilabel": f"{found.labels.outputs} labels, each 0 or 1: {of}",
    }[found.labels.task]
    return line + (" (another column: --label NAME)" if found.label else "")


def _head(found: Profile, name: str) -> list[str]:
    comments = [f"# Written for {found.path.name}:", *(f"#   {line}" for line in summary(found))]
    return [*comments, f"#   {program()} fit -c {name}", f"#   {program()} test -c {name}"]


def _sizes(found: Profile) -> dict[str, Any]:
    """Widths and rates that a set of so many samples is not overfitted by at once."""
    few = found.samples < 300 or (found.kind == "table" and found.shape[0] > found.samples)
    many = found.samples >= 5000
    hidden = 16 if few else 128 if many else 64
    return {
        "hidden": hidden,
        "dropout": 0.3 if few else 0.1 if many else 0.2,
        "batch": 64 if many else 16 if few else 32,
    }


def _model(found: Profile, size: dict[str, Any], epochs: int) -> list[str]:
    task = "Regression" if found.labels.task == "regression" else "Classification"
    return [
        f"  class_path: litspike.tasks.{task}",
        "  init_args:",
        *_loss(found),
        *_encoder(found),
        *_network(found, size),
        *_readout(found),
        "    optimizer:",
        "      class_path: torch.optim.AdamW",
        "      init_args:",
        "        lr: 0.005",
        "        weight_decay: 0.01    # it and dropout keep a small set from being learned by heart",
        "    scheduler:",
        "      class_path: torch.optim.lr_scheduler.CosineAnnealingLR",
        "      init_args:",
        f"        T_max: {epochs}             # epochs, as trainer.max_epochs",
    ]


def _loss(found: Profile) -> list[str]:
    labels = found.labels
    if labels.task == "regression":
        return ["    loss: litspike.tasks.MeanSquaredError    # of the targets by their mean and deviation"]
    if labels.task == "multilabel":
        return ["    loss: litspike.tasks.MultiLabelCrossEntropy"]
    name = "BinaryCrossEntropy" if labels.outputs == 2 else "CrossEntropy"
    weights = ["        class_weights: balanced    # a rare class counts as much as a frequent one"]
    about = ["    loss:", f"      class_path: litspike.tasks.{name}"]
    return [*about, "      init_args:", *weights] if labels.unbalanced else about


def _encoder(found: Profile) -> list[str]:
    if found.kind == "sequences":
        return ["    encoder: litspike.coding.TimeFirst    # a step of the sequence is a time step of the network"]
    steps = 4 if found.kind == "images" else 16
    return [
        "    encoder:",
        "      class_path: litspike.coding.ConstantCurrent",
        "      init_args:",
        f"        steps: {steps}             # time steps for each sample",
    ]


def _network(found: Profile, size: dict[str, Any]) -> list[str]:
    outputs = 1 if found.labels.task == "classification" and found.labels.outputs == 2 else found.labels.outputs
    lines = ["    network:"]
    if found.kind == "images":
        pools = sum(min(found.shape[1:]) >= 2**power * 2 for power in (1, 2))
        channels = [16, *(["pool", 32] if pools else []), *(["pool"] if pools > 1 else [])]
        listed = ", ".join(map(str, channels))
        lines += ["      class_path: litspike.networks.ConvNet", "      init_args:"]
        lines += [
            f"        input_shape: {list(found.shape)}",
            f"        channels: [{listed}]",
            f"        sizes: [{outputs}]",
        ]
    else:
        kind = "RecurrentNetwork" if found.kind == "sequences" else "Perceptron"
        sizes = [found.shape[-1], size["hidden"], outputs]
        lines += [f"      class_path: litspike.networks.{kind}", "      init_args:"]
        lines.append(f"        sizes: {sizes}    # features, neurons, outputs")
    return [*lines, f"        dropout: {size['dropout']}"]


def _readout(found: Profile) -> list[str]:
    each = "a value for each step" if found.labels.each_step else ""
    return [f"    readout: litspike.coding.EveryStep    # {each}"] if each else []


def _data(found: Profile, size: dict[str, Any]) -> list[str]:
    label: Any = found.label[0] if len(found.label) == 1 else list(found.label)
    settings: dict[str, tuple[Any, str]] = {
        "path": (str(found.path), ""),
        "test_path": (found.test and str(found.test), ""),
        "task": (None if found.labels.task == "classification" else found.labels.task, ""),
        "label": (label, "what is to be answered"),
        "classes": ("names" if found.labels.named else None, "numbers other than 0, 1, 2, … are names"),
        **_text_form(found),
        "ignore": (list(found.left_out), "columns that are no features"),
        "missing": ("median" if found.missing else None, "of the training samples"),
        "image_size": (found.image_size and list(found.image_size), "the middle of theirs"),
        "scaling": ("standard", "unit, into [0, 1], for PoissonRate and Latency"),
        "batch_size": (size["batch"], ""),
    }
    settings = {name: value for name, value in settings.items() if value[0] not in (None, [])}
    return [_line(name, value, comment) for name, (value, comment) in settings.items()]


def _text_form(found: Profile) -> dict[str, tuple[Any, str]]:
    """The settings of a ``.csv`` file that isn't written as most are."""
    if found.form is None:
        return {}
    plain, own = vars(TextForm()), vars(found.form)
    return {setting: (value, "") for setting, value in own.items() if value != plain[setting]}


def _line(name: str, value: Any, comment: str) -> str:
    return f"    {name}: {yaml_text.in_one_line(value)}" + (f"    # {comment}" if comment else "")


def name_for(path: Path) -> str:
    """A configuration's name for a file's."""
    return re.sub(r"\W+", "_", path.stem.lower()).strip("_") or "mine"

"""An object of every public class, so that a new one is tested by existing."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.classification import BinaryAccuracy

import litspike
from litspike import LIF, ConstantCurrent, Latency, MeanOverTime, Perceptron
from tests.networks.nir_oracle import neurons, write

PACKAGES = ("coding", "networks", "neurons", "surrogates", "tasks", "metrics", "data", "callbacks")
_REQUIRED: dict[str, Any] = {
    "blocks": [1],
    "channels": [2],
    "classes": 3,
    "device": "cpu",
    "encoder": ConstantCurrent(2),
    "epoch": 1,
    "every": 1,
    "features": 2,
    "folder": Path("pictures"),
    "format": "png",
    "input_shape": [1, 4, 4],
    "inputs": 3,
    "layers": [torch.nn.Linear(2, 3)],
    "network": Perceptron([2, 3, 1], LIF()),
    "neuron": LIF(),
    "neurons": 3,
    "output": torch.zeros(2, 3),
    "outputs": 2,
    "path": Path("predictions.csv"),
    "problem": "is wrong",
    "readout": MeanOverTime(),
    "samples": 2,
    "setting": "decay",
    "shape": (1, 4, 4),
    "sizes": [2, 3, 1],
    "state": None,
    "steps": 20,
    "stride": 1,
    "value": 2,
}
"""A value for each argument without a default, by its name."""
_OF_CLASS: dict[str, dict[str, Any]] = {
    "Jackknife": {"metric": BinaryAccuracy()},
    "Population": {"encoder": Latency()},
    "FromNIR": {"dt": 1e-4},
    "Converted": {"network": torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))},
    "Calibrated": {"name": "1", "label": "1", "before": 0.0, "scale": 1.0, "after": 0.05},
}


def public_classes(*packages: str) -> list[type]:
    """The classes in ``__all__`` of packages of litspike and of litspike itself that can be made."""
    modules = [litspike, *(importlib.import_module(f"litspike.{name}") for name in packages)]
    found = {
        getattr(module, name): None
        for module in modules
        for name in getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    }
    return [kind for kind in found if inspect.isclass(kind) and _ours(kind) and not _is_base(kind)]


def _ours(kind: type) -> bool:
    return kind.__module__.startswith("litspike.") and not issubclass(kind, Exception)


def _is_base(kind: type) -> bool:
    return any(getattr(getattr(kind, name, None), "__isabstractmethod__", False) for name in dir(kind))


def arguments(kind: type, folder: Path) -> dict[str, Any]:
    """Arguments that a class can be made with: its defaults, and for the others a small value by their names."""
    if kind.__name__ == "Arrays":
        np.savez(folder / "a.npz", x=np.zeros((6, 2), np.float32), y=np.arange(6) % 2)
    if kind.__name__ == "FromNIR":
        pytest.importorskip("nir", reason="files in NIR need the extra: pip install 'litspike[nir]'")
        write(folder / "a.nir", neurons("LIF"))
    files = {"Arrays": "a.npz", "FromNIR": "a.nir"}
    special = {"path": str(folder / files[kind.__name__])} if kind.__name__ in files else {}
    special |= _OF_CLASS.get(kind.__name__, {})
    return {
        name: special[name] if name in special else _default(kind, name, parameter)
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def _default(kind: type, name: str, parameter: inspect.Parameter) -> Any:
    if parameter.default is not parameter.empty:
        return parameter.default
    assert name in _REQUIRED, f"give {kind.__name__}'s argument {name} a value in tests/public.py"
    return _REQUIRED[name]


def examples(folder: Path, *packages: str) -> Iterator[tuple[type, Any]]:
    """Each public class with an object of it."""
    for kind in public_classes(*packages):
        yield kind, kind(**arguments(kind, folder))

"""What a checkpoint must hold before anything is made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.optim import Optimizer

from litspike.runs import yaml_text
from litspike.runs.signature import Damaged
from litspike.settings import UserError

KEY = "litspike"
"""Where a checkpoint keeps what litspike adds: ``config``, the run's configuration, ``rng``, torch's state in each
process, ``figures``, the metrics of a validation of these weights, and ``complete``, whether training ended with it."""

DEPTH = 100
"""How deep what a checkpoint holds may be nested; a fit's is ten deep."""

MOST = 2**63
"""What the counters of a training stay below: TensorBoard has no place for a larger one."""

_PARTS = {
    "state_dict": dict,
    "epoch": int,
    "global_step": int,
    "pytorch-lightning_version": str,
    "loops": dict,
    "callbacks": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    KEY: dict,
}
_NEEDED = ("state_dict", "epoch", "global_step", "pytorch-lightning_version")
_SHAPED = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "momentum_buffer", "sum", "square_avg", "grad_avg"}
"""What optimizers keep for each element of a parameter. Their fused kernels look at no size."""


def check(checkpoint: Any) -> None:
    """Check the parts of a checkpoint that litspike and Lightning use, as far as their types go.

    Raises:
        Damaged: if one is missing or is something else.
    """
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise Damaged("it is no checkpoint of a run: it has no weights")
    _check_depth(checkpoint)
    for name, kind in _PARTS.items():
        if name in checkpoint or name in _NEEDED:
            _of(checkpoint, name, kind)
    _check_weights(checkpoint["state_dict"])
    for name in ("epoch", "global_step"):
        if isinstance(checkpoint[name], bool) or not 0 <= checkpoint[name] < MOST:
            raise Damaged(f"{name} is {checkpoint[name]!r}")
    for state in checkpoint.get("optimizer_states", []):
        _check_optimizer_state(state)
    _check_configuration(checkpoint.get(KEY, {}).get("config", ""))


def _check_configuration(text: object) -> None:
    if not isinstance(text, str):
        raise Damaged("its configuration is no text")
    try:
        yaml_text.check(text)
        settings = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Damaged(f"its configuration: {yaml_text.problem(error)}") from error
    if settings is not None and not isinstance(settings, dict):
        raise Damaged("its configuration holds no settings")


def _check_weights(weights: dict[Any, Any]) -> None:
    for name, value in weights.items():
        if not isinstance(name, str):
            raise Damaged(f"state_dict has a name that is no text: {name!r}")
        if not name.endswith("_extra_state") and not _plain(value):
            raise Damaged(f"state_dict: {name} is no tensor of numbers")


def _of(holder: dict[Any, Any], name: str, kind: type) -> Any:
    value = holder.get(name)
    if not isinstance(value, kind):
        found = "is missing" if name not in holder else f"is {type(value).__name__} and not {kind.__name__}"
        raise Damaged(f"{name} {found}")
    return value


def _plain(value: object) -> bool:
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_nested
    )


def _check_optimizer_state(state: object) -> None:
    groups = state.get("param_groups") if isinstance(state, dict) else None
    if not isinstance(state, dict) or not isinstance(state.get("state"), dict) or not isinstance(groups, list):
        raise Damaged("optimizer_states: one has no states and groups of parameters")
    for group in groups:
        if not isinstance(group, dict) or not isinstance(group.get("params"), list):
            raise Damaged("optimizer_states: a group has no parameters")
    for values in state["state"].values():
        if not isinstance(values, dict):
            raise Damaged("optimizer_states: the state of a parameter holds no names and values")


def _check_depth(checkpoint: object) -> None:
    level: list[Any] = [checkpoint]
    for _ in range(DEPTH):
        parts = [part for holder in level for part in (holder.values() if isinstance(holder, dict) else holder)]
        # one that stands in several places counts once, or a small file could ask for any number of them
        level = list({id(part): part for part in parts if isinstance(part, (dict, list, tuple, set))}.values())
        if not level:
            return
    raise Damaged(f"it is nested more than {DEPTH} deep")


def check_optimizers(path: Path | str | None, optimizers: Iterable[Optimizer]) -> None:
    """Check that what optimizers took from a checkpoint has the sizes of their parameters.

    Raises:
        UserError: if not.
    """
    for optimizer in optimizers:
        for parameter, state in optimizer.state.items():
            for name in _SHAPED & state.keys():
                value = state[name]
                if value is not None and not _fits(value, parameter):
                    found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
                    raise UserError(
                        f"{path} is damaged (the optimizer's {name} is {found}, not {list(parameter.shape)}): "
                        "name another with --ckpt_path, or train again"
                    )


def _fits(value: object, parameter: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == parameter.shape and value.layout == parameter.layout


def inside(state: dict[str, Any], folder: Path) -> None:
    """Forget the paths in a checkpoint callback's state that lead out of a folder: it deletes the files it replaces.

    Args:
        state: of Lightning's ``ModelCheckpoint``, changed in place.
        folder: of the checkpoint.
    """
    keep: Callable[[Any], bool] = lambda name: isinstance(name, str) and Path(name).resolve().parent == folder  # noqa: E731
    for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
        if name in state and not keep(state[name]):
            state[name] = ""
    if "best_k_models" in state:
        models = state["best_k_models"]
        state["best_k_models"] = (
            {name: score for name, score in models.items() if keep(name)} if isinstance(models, dict) else {}
        )

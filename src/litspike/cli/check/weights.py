"""Whether a checkpoint's weights belong to a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from litspike.settings import UserError
from litspike.tasks.targets import TargetScale


def check_weights(path: Path, checkpoint: dict[str, Any], model: nn.Module) -> None:
    """Check that a checkpoint's weights belong to a model.

    Raises:
        UserError: if they differ in name or shape from the model's.
    """
    # weights from before targets were standardised have no scale of them
    free = {f"{name}._extra_state" for name, module in model.named_modules() if isinstance(module, TargetScale)}
    theirs, ours = (
        {name: list(value.shape) if isinstance(value, Tensor) else None for name, value in state.items()}
        for state in (checkpoint["state_dict"], model.state_dict())
    )
    for name in [name for name in (*ours, *theirs) if name not in free]:
        if theirs.get(name) != ours.get(name):
            raise UserError(
                f"{path} belongs to another network: {name} is {theirs.get(name, 'missing')} there and "
                f"{ours.get(name, 'missing')} in this configuration"
            )

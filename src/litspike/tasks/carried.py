"""Classification with a membrane that is carried from batch to batch, as a widely copied article has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from litspike.networks.pieces import tensors_of
from litspike.settings import UserError
from litspike.tasks.classification import Classification


class CarriedClassification(Classification):
    """:class:`Classification` that starts every batch in the state in which the batch before it ended.

    It is here to show what that does: the membrane mixes samples that have nothing to do with each other. The carried
    state is cut off its graph, and travels in the checkpoint. Validation and test start in the state that training
    left behind, and leave it as it was.

    Raises:
        UserError: if a batch has another size than the one before it, or several processes are to train.
    """

    carried: tuple[Any, ...] | None = None
    """Each layer's state after the batch before, detached, as tuples of tensors, or of such tuples for a layer around
    another; None before the first batch.
    """

    def setup(self, stage: str) -> None:
        """Refuse several processes: each would carry a state of its own, and a checkpoint holds one."""
        if self.trainer.world_size > 1:
            raise UserError("trainer.devices: the membrane carried from batch to batch is that of one process: set 1")

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Samples [B, *] → logits [B, 1], from the carried state."""
        return self.answer(x, lengths)[0]

    def answer(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits [B, 1] and outputs [T, B, 1] from the carried state, which moves on."""
        if lengths is not None:
            raise UserError("data: sequences of different lengths have no one end from which a membrane is carried on")
        if self.carried is not None:
            carried_size = next((len(value) for value in tensors_of(self.carried)), len(x))
            if carried_size != len(x):
                raise UserError(
                    f"data.batch_size: a batch of {len(x)} samples meets the membrane carried over from one of "
                    f"{carried_size}; choose batch sizes that divide every part of the data, or a model that starts "
                    "from rest, as configs/default.yaml has it"
                )
            self.carried = _each(lambda value: value.to(x.device), self.carried)
        logits, outputs, state = self.respond(x, self.carried)
        self.carried = _each(Tensor.detach, state)
        return logits, outputs

    def on_validation_epoch_start(self) -> None:
        """Put the state of training aside."""
        super().on_validation_epoch_start()
        self._training_state = self.carried

    def on_validation_epoch_end(self) -> None:
        """Take the state of training up again, before anything is saved."""
        super().on_validation_epoch_end()
        self.carried = self._training_state

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the carried state: a resumed run and a test go on from it."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["carried"] = self.carried

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from the state that the checkpoint keeps."""
        super().on_load_checkpoint(checkpoint)
        self.carried = checkpoint.get("carried")


def _each(change: Callable[[Tensor], Tensor], state: Any) -> tuple[Any, ...]:
    """A state whose tensors are changed: plain tuples, since a checkpoint may hold no other."""
    return tuple(change(part) if isinstance(part, Tensor) else _each(change, part) for part in state)

"""The metrics of one stage, collected on the device and reduced once an epoch."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from torchmetrics import Metric

from litspike.metrics.exact import exact
from litspike.settings import LitspikeWarning, SettingError, UserError
from litspike.tasks.nonfinite import NonFiniteLoss

WAITING = 100
"""Batches that are taken in together: an update for each would cost more than a small network's training step."""
TAKEN = ("loss", "learning_rate")
"""Names that every task logs."""

State = dict[str, Any]
Inputs = Callable[[Metric, Tensor, Tensor], tuple[Tensor, Tensor]]


class Score(NamedTuple):
    """A metric that is a mean over the samples, or a function of one.

    Args:
        name: what it is called.
        of_samples: from the readout's values [B, *] and the targets [B, *] to a number for each sample, [B].
        of_mean: from the mean of these over an epoch to the metric; None: the mean is the metric.
    """

    name: str
    of_samples: Callable[[Tensor, Tensor], Tensor]
    of_mean: Callable[[Tensor], Tensor] | None = None


def as_given(metric: Metric, values: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The readout's values and the targets as they are."""
    return values, targets


class EpochMetrics(nn.Module):
    """Loss, scores and the user's own metrics of the samples of an epoch.

    Args:
        scores: what the task itself measures beside the loss.
        metrics: the user's own, by name; each is copied.
        inputs: from a metric, the readout's values and the targets of some samples to what the metric takes,
            ``(predictions, targets)``.

    Raises:
        SettingError: if a metric has a name that is taken, or that no metric can have.
    """

    def __init__(
        self, scores: Sequence[Score], metrics: Mapping[str, Metric] | None = None, inputs: Inputs = as_given
    ) -> None:
        super().__init__()
        self.scores, self.inputs = tuple(scores), inputs
        self.names = tuple(metrics or {})
        self.metrics = nn.ModuleList([metric.clone() for metric in (metrics or {}).values()])
        taken = {*TAKEN, *(score.name for score in scores)}
        for name in self.names:
            if not re.fullmatch(r"[^\W\d]\w*", name):
                raise SettingError("metrics", name, "is no name of a metric: take letters, digits and underscores")
            if name in taken:
                raise SettingError("metrics", name, "is the name of a metric that the task has already")
        self.sums = torch.zeros(len(scores) + 2, dtype=torch.float64)
        """Sum of the samples' losses, sum of each of their scores, number of samples: of this process, on the CPU."""
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []
        self._closed = False

    def anew(self) -> EpochMetrics:
        """Another of the same, which has collected nothing."""
        another = copy.deepcopy(self)
        another.reset()
        return another

    def logged(self) -> list[str]:
        """Names of all that :meth:`close` gives."""
        return ["loss", *(score.name for score in self.scores), *self.names]

    def higher_is_better(self, name: str) -> bool:
        """Whether a metric, or an entry ``NAME_0`` of one, is best where it is greatest and not where it is least."""
        own = [metric for known, metric in self.named() if name == known or re.fullmatch(f"{known}_\\d+", name)]
        return name == "accuracy" or any(metric.higher_is_better is True for metric in own)

    def named(self) -> Iterator[tuple[str, Metric]]:
        """The user's own metrics by name."""
        for name, metric in zip(self.names, self.metrics, strict=True):
            assert isinstance(metric, Metric)
            yield name, metric

    def add(self, loss: Tensor, values: Tensor, targets: Tensor, last: bool = False) -> None:
        """Take in a batch; after :meth:`close` it is the first of another epoch.

        Args:
            loss: the batch's mean loss.
            values: what the readout gave, [B, *].
            targets: what it should have given, [B, *].
            last: whether it closes the epoch.

        Raises:
            NonFiniteLoss: if the loss of a batch that waited is NaN or infinite.
            UserError: if one of the user's metrics refuses the batches that waited.
        """
        if self._closed:
            self.reset()
        self._waiting.append((loss.detach(), values.detach(), targets))
        if last or len(self._waiting) == WAITING:
            self.flush()

    def flush(self) -> None:
        """Take in the waiting batches; raises as :meth:`add`."""
        if not self._waiting:
            return
        losses, values, targets = zip(*self._waiting, strict=True)
        self._waiting.clear()
        sizes = [len(batch) for batch in targets]
        self._update(torch.stack(losses), sizes, _joined(values), _joined(targets))

    def _update(self, losses: Tensor, sizes: list[int], values: Tensor, targets: Tensor) -> None:
        """Take in the losses [K] of K batches, their sizes, and the values and targets of all their samples."""
        if not bool(losses.isfinite().all()):
            first = int(losses.isfinite().logical_not().nonzero()[0])
            raise NonFiniteLoss(losses[first].item(), len(losses) - 1 - first)
        losses = exact(losses)
        weights = torch.tensor(sizes, dtype=torch.float64, device=losses.device)
        scores = [exact(score.of_samples(values, targets)).sum() for score in self.scores]
        self.sums = self.sums + torch.stack([(losses * weights).sum(), *scores, weights.sum()]).cpu()
        for name, metric in self.named():
            with refusals(name, metric):
                metric.update(*self.inputs(metric, values, targets))

    def check(self, values: Tensor, targets: Tensor) -> None:
        """Refuse a metric of the user's that doesn't suit the task, on a few samples that leave it as it was.

        Raises:
            UserError: that names the metric, and says why it refuses them or that it gives no numbers.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a class that these few samples don't have
            for name, metric in self.named():
                probe = metric.clone()
                with refusals(name, metric):
                    probe.update(*self.inputs(metric, values, targets))
                    found = probe.compute()
                numbers(name, metric, found)

    def state(self, alone: bool = False) -> State:
        """What :meth:`restore` takes: all until now. Raises as :meth:`add`.

        Args:
            alone: of this process alone, where the others may be gone; else all of them have to call it.
        """
        self.flush()
        if alone:
            return {"sums": self.sums.clone(), "metrics": {n: [_copy(m.metric_state)] for n, m in self.named()}}
        states = {name: of_all_processes(_copy(metric.metric_state)) for name, metric in self.named()}
        return {"sums": self._total(), "metrics": states}

    def restore(self, state: State | None) -> None:
        """Go on with what :meth:`state` gave; begin anew where it is None.

        A metric that it doesn't know, or that another number of processes kept, begins anew, the latter with a warning.
        """
        self.reset()
        if state is None:
            return
        rank, processes = _place()
        if rank == 0:
            self.sums = state["sums"].double().cpu()
        for name, metric in self.named():
            states = state["metrics"].get(name)
            if states is not None and len(states) != processes:
                problem = (
                    f"it counts the rest of this epoch alone, as the checkpoint has states of {len(states)} processes"
                )
                warnings.warn(f"model.metrics.{name}: {problem}", LitspikeWarning, stacklevel=2)
            elif states is not None:
                for key, value in states[rank].items():
                    setattr(metric, key, _moved(value, metric.device))

    def close(self) -> tuple[dict[str, Tensor], int]:
        """End the epoch: its metrics over all processes, and the number of samples; none where it has none.

        All processes have to call it; raises as :meth:`add`.
        """
        self.flush()
        *sums, samples = self._total()
        self._closed = True
        if samples == 0:
            return {}, 0
        loss, *means = (total / samples for total in sums)
        found = {"loss": loss.float()}
        for score, mean in zip(self.scores, means, strict=True):
            found[score.name] = (mean if score.of_mean is None else score.of_mean(mean)).float()
        for name, metric in self.named():
            with refusals(name, metric):
                value = metric.compute()
            found |= numbers(name, metric, value)
            metric.reset()
        return found, int(samples)

    def reset(self) -> None:
        """Forget what was collected."""
        self._waiting, self._closed = [], False
        self.sums = torch.zeros_like(self.sums)
        for _, metric in self.named():
            metric.reset()

    def _total(self) -> Tensor:
        """The sums over all processes."""
        if _place()[1] == 1:
            return self.sums.clone()
        device = torch.device("cpu")
        if distributed.get_backend() == "nccl":
            device = torch.device("cuda", torch.cuda.current_device())
        total = self.sums.to(device, copy=True)
        distributed.all_reduce(total)
        return total.cpu()


def _joined(batches: Sequence[Tensor]) -> Tensor:
    """Batches one after another; those of fewer steps than others, [B, T, D], end in NaN, which no metric counts."""
    if batches[0].dim() < 3 or len({batch.shape[1] for batch in batches}) == 1:
        return torch.cat([*batches])
    most = max(batch.shape[1] for batch in batches)
    return torch.cat([functional.pad(batch, (0, 0, 0, most - batch.shape[1]), value=torch.nan) for batch in batches])


@contextmanager
def refusals(name: str, metric: Metric) -> Iterator[None]:
    """Say in one line what a metric of the user's refuses."""
    try:
        yield
    except (ValueError, RuntimeError, TypeError, IndexError, NotImplementedError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(
            f"model.metrics.{name}: {type(metric).__name__} can't take what this task gives: {reason}"
        ) from error


def numbers(name: str, metric: Metric, found: Any) -> dict[str, Tensor]:
    """What a metric computed, by name: one number, or one for each entry as ``NAME_0``, ``NAME_1`` and so on.

    Raises:
        UserError: if it is anything else.
    """
    if isinstance(found, Tensor) and found.dim() <= 1 and not found.is_complex():
        found = found.detach().float()
        return {f"{name}_{index}": value for index, value in enumerate(found)} if found.dim() else {name: found}
    shown = f"a tensor {list(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
    raise UserError(
        f"model.metrics.{name}: {type(metric).__name__} gives {shown}; a metric is a number, or a row of them"
    )


def _place() -> tuple[int, int]:
    """This process's rank, and the number of processes."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def of_all_processes(value: Any) -> list[Any]:
    """The value in every process, by rank. All have to call it."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    values = [value] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def _copy(value: Any) -> Any:
    """A metric's state on the CPU, apart from the metric."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _copy(part) for key, part in value.items()}
    return [_copy(part) for part in value]


def _moved(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, Tensor) else [part.to(device) for part in value]

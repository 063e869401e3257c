"""What is measured while a task is tested: firing, operations, and the score after each time step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from litspike.coding.valid import valid_steps
from litspike.metrics import ClassRecall, Firing, Jackknife, Operations, SampleMean, exact, exact_device
from litspike.networks.sequence import neuron_layers
from litspike.networks.watch import LayerCall, layer_label, model, watched
from litspike.reports.anytime import evaluated_steps
from litspike.settings import UserError
from litspike.tasks.batches import without_padding
from litspike.tasks.classification_losses import ClassificationLoss
from litspike.tasks.task import Task


class Measurements:
    """Measures a task while the batches of a test go through its network; nothing is computed twice for it.

    No error of a measurement reaches the test: that part is left out, and :attr:`left_out` has the reason.

    Args:
        task: what is tested.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.lengths: Tensor | None = None
        """Number of steps of each sequence of the batch, [B]; None where all have T."""
        self.steps = 0
        """Time steps T of the samples; 0 before the first."""
        self.points: list[int] = []
        """The steps after which the score is computed."""
        self.firing: dict[str, tuple[int, str, Firing]] = {}
        """Name → number, model and firing of each layer of neurons."""
        self.operations: Operations | None = None
        self.before_neurons: set[str] | None = None
        """Names of the connections that are called before any layer of neurons; None before one is called."""
        self.answers: SampleMean | None = None
        """The first of the task's scores after each of these steps."""
        self.scores = SampleMean(len(task.test_metrics.scores)).to(exact_device(task.device))
        """Each of the task's scores, of the whole sequence."""
        self.losses = SampleMean().to(exact_device(task.device))
        self.metrics = {name: Jackknife(metric).to(task.device) for name, metric in task.test_metrics.named()}
        """Each of the user's own metrics, for its interval."""
        self.recall: ClassRecall | None = None
        """Samples of each class, and those that are found; None of a task without classes."""
        self.one_class_each = True
        """Whether a sample has one class, not several labels."""
        self.computed: dict[str, list[Tensor]] = {}
        """What these came to, once they are summed up."""
        self.sample: Tensor | None = None
        """The first sample, [1, *]."""
        layers = list(neuron_layers(task.network))
        self.layers = {name: layer_label(number, layer) for number, (name, layer) in enumerate(layers, start=1)}
        """Name → what each layer of neurons is called."""
        self.left_out: dict[str, str] = {}
        """Name of each part that was given up, with its reason."""
        self._outputs: Tensor | None = None
        self._pass = ExitStack()
        self._hooks = ExitStack()
        # a pass is counted from the network's call to its return, when the number of steps is known
        self._hooks.callback(task.network.register_forward_pre_hook(self._begin).remove)
        self._hooks.callback(task.network.register_forward_hook(self._end).remove)
        for _, layer in layers:
            self._hooks.callback(layer.register_forward_pre_hook(self._reach_neurons).remove)
        self._hooks.enter_context(watched(task.network, self._note))

    def close(self) -> None:
        """Stop measuring."""
        with suppress(Exception):  # of a pass that was broken off
            self._pass.close()
        self._hooks.close()

    def agree(self, everywhere: Callable[[bool], bool]) -> None:
        """Give up in every process what was given up in one, as the others would wait for it.

        Args:
            everywhere: whether something holds in all processes, from whether it holds in this one.
        """
        there: dict[str, object] = {"operations": self.operations, "anytime": self.answers}
        there |= dict.fromkeys(("score", "loss", *map(_part, self.metrics)), self.sample)
        if isinstance(self.task.loss, ClassificationLoss):
            there["classes"] = self.recall
        there |= {label: self.firing.get(name) for name, label in self.layers.items()}
        for part, found in there.items():
            if found is None:
                self.left_out.setdefault(part, "it was never called")
            if not everywhere(part not in self.left_out):
                self.left_out.setdefault(part, "it failed in another process")

    def sum_up(self) -> None:
        """Add up over all processes what was not given up; later no part asks another process for anything."""
        parts: dict[str, Metric | None] = {"loss": self.losses, "score": self.scores}
        parts |= {label: self.firing[name][-1] for name, label in self.layers.items() if name in self.firing}
        parts |= {"operations": self.operations, "anytime": self.answers, "classes": self.recall}
        for part, metric in parts.items():
            if metric is not None:
                self._safely(part, metric.compute)
        for name, jackknife in self.metrics.items():
            self._safely(_part(name), partial(self._compute, name, jackknife))

    def batch_end(self, x: Tensor, y: Tensor) -> None:
        """Take in the answers to a batch, [B, *], whose targets are y."""
        outputs, self._outputs = self._outputs, None
        if self.sample is None:
            self.sample = (x[:1] if self.lengths is None else x[:1, : int(self.lengths[0])]).clone()
        if outputs is not None:
            self._safely("score", lambda: self._score(outputs, y))
            if isinstance(self.task.loss, ClassificationLoss):
                self._safely("classes", partial(self._find, self.task.loss, outputs, y))
            self._safely("loss", lambda: self._lose(outputs, y))
            self._safely("anytime", lambda: self._answer(outputs, y))
            for name, jackknife in self.metrics.items():
                self._safely(_part(name), partial(self._leave_out, jackknife, outputs, y))

    def _safely(self, part: str, measure: Callable[[], object]) -> None:
        if part in self.left_out:
            return
        try:
            measure()
        except Exception as error:  # a measurement is not worth the test
            self.left_out[part] = " ".join(str(error).split()) or type(error).__name__

    def _begin(self, network: nn.Module, arguments: tuple[Any, ...]) -> None:
        self._safely("operations", lambda: self._count(network, *arguments[0].shape[:2]))

    def _count(self, network: nn.Module, steps: int, samples: int) -> None:
        if self.operations is None:
            self.steps, self.points = steps, evaluated_steps(steps)
            self.operations = Operations(network, steps).to(self.task.device)
        if steps != self.steps:
            raise UserError(f"samples of {self.steps} and of {steps} time steps")
        self._pass.enter_context(self.operations.counted(samples, self._valid(steps)))

    def _end(self, network: nn.Module, arguments: tuple[Any, ...], result: Any) -> None:
        self._safely("operations", self._pass.close)
        self._outputs = result[0]

    def _reach_neurons(self, *_: Any) -> None:
        if self.before_neurons is None and self.operations is not None:
            self.before_neurons = set(self.operations.called)

    def _note(self, call: LayerCall) -> None:
        self._safely(self.layers[call.name], lambda: self._fired(call))

    def _fired(self, call: LayerCall) -> None:
        spikes = call.output
        if not bool(((spikes == 0) | (spikes == 1)).all()):
            raise UserError("its outputs are no spikes")
        if call.name not in self.firing:
            firing = Firing(spikes.shape[2:].numel()).to(spikes.device)
            self.firing[call.name] = call.number, model(call.layer), firing
        self.firing[call.name][2].update(spikes, self._valid(len(spikes)))

    def _valid(self, steps: int) -> Tensor | None:
        """Which steps are inside each sequence, [T, B]; None where all are."""
        return None if self.lengths is None else valid_steps(steps, self.lengths)

    def _score(self, outputs: Tensor, y: Tensor) -> None:
        values, y = without_padding(self.task.read(outputs, self.lengths), y, self.lengths)
        self.scores.update(torch.stack([exact(score.of_samples(values, y)) for score in self.task.test_metrics.scores]))

    def _answer(self, outputs: Tensor, y: Tensor) -> None:
        if len(outputs) != self.steps:
            raise UserError(f"samples of {self.steps} and of {len(outputs)} time steps")
        until = [None if self.lengths is None else self.lengths.clamp(max=step) for step in self.points]
        answers = [self.task.read(outputs[:step], own) for step, own in zip(self.points, until, strict=True)]
        if len({answer.shape for answer in answers}) > 1:
            raise UserError("the readout gives a value for each step, not one answer that each step adds to")
        score = self.task.test_metrics.scores[0]
        if self.answers is None:
            self.answers = SampleMean(len(self.points)).to(exact_device(outputs.device))
        self.answers.update(torch.stack([exact(score.of_samples(answer, y)) for answer in answers]))

    def _each_loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        if self.lengths is None:
            return sample_losses(self.task.loss_in_unit, self.task.readout(outputs), outputs, y)
        values = self.task.readout(outputs, self.lengths)
        each = []
        for index, length in enumerate(self.lengths):
            one = slice(index, index + 1)
            each.append(self.task.loss_in_unit(values[one], outputs[:, one], y[one], length[None]))
        return torch.stack(each)

    def _find(self, loss: ClassificationLoss, outputs: Tensor, y: Tensor) -> None:
        values = self.task.read(outputs, self.lengths)
        if self.recall is None:
            self.one_class_each = y.dim() == 1
            self.recall = ClassRecall(max(values.shape[1], 2) if self.one_class_each else y.shape[1]).to(values.device)
        self.recall.update(loss.predictions(values), y)

    def _leave_out(self, jackknife: Jackknife, outputs: Tensor, y: Tensor) -> None:
        values, targets = without_padding(self.task.read(outputs, self.lengths), y, self.lengths)
        if values.dim() > 2 and self.lengths is not None:
            for value, target in zip(values, targets, strict=True):  # each has rows of its own number
                jackknife.update(*self.task.test_metrics.inputs(jackknife.all, value[None], target[None]), samples=1)
            return
        jackknife.update(*self.task.test_metrics.inputs(jackknife.all, values, targets), samples=len(y))

    def _compute(self, name: str, jackknife: Jackknife) -> None:
        self.computed[name] = jackknife.compute()

    def _lose(self, outputs: Tensor, y: Tensor) -> None:
        self.losses.update(self._each_loss(outputs, y))


def _part(name: str) -> str:
    """What a metric of the user's is called in :attr:`Measurements.left_out`."""
    return f"interval of {name}"


def sample_losses(
    loss: Callable[[Tensor, Tensor, Tensor], Tensor], values: Tensor, outputs: Tensor, targets: Tensor
) -> Tensor:
    r"""The loss of each sample by itself, [B].

    Args:
        loss: the loss of a batch.
        values: the readout's, [B, \*].
        outputs: the network's, [T, B, \*].
        targets: [B, \*].
    """

    def alone(value: Tensor, output: Tensor, target: Tensor) -> Tensor:
        return loss(value[None], output[:, None], target[None])

    return torch.vmap(alone, in_dims=(0, 1, 0))(values, outputs, targets)

"""Every task gets the pictures that suit it, training goes on as without them, and one that fails stops nothing."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.figure import Figure
from PIL import Image, ImageSequence
from torch import Tensor, nn

from litspike import LIF, ConstantCurrent, MeanOverTime, Perceptron, SettingError
from litspike.callbacks import AnimationFile, PictureFiles, Pictures
from litspike.coding import EveryStep, PoissonRate, TimeFirst
from litspike.data import Digits, HalfPlane, MackeyGlass
from litspike.networks import ConvNet, RecurrentNetwork
from litspike.networks.watch import evaluation_mode
from litspike.reports.pictures import draw
from litspike.reports.pictures import style as plots
from litspike.reports.pictures.collect import ValidationSamples
from litspike.reports.pictures.summarise import activities, trace_sample
from litspike.tasks import BinaryCrossEntropy, Classification, CrossEntropy, MeanSquaredError, Regression
from tests.conftest import Cli

QUICK = "--trainer.max_epochs 1 --data.train_points 50 --pictures.every 1"
QUIET: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}


def binary(encoder: nn.Module | None = None) -> Classification:
    torch.manual_seed(0)
    return Classification(Perceptron([2, 6, 1], LIF(), dropout=0.2), encoder or ConstantCurrent(4), MeanOverTime())


def drawn(task: Any, data: Any, folder: Path) -> set[str]:
    files = PictureFiles(folder, "png", 4, 7)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="no picture")
        Trainer(callbacks=[files], logger=False, **QUIET).validate(task, data, verbose=False)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files.paths)
    return {path.stem for path in files.paths}


EVERY = {"spikes-layer-1", "membrane-potential", "one-sample"}


def test_two_classes_of_the_plane_have_a_boundary_and_a_confusion_matrix(tmp_path: Path):
    assert drawn(binary(), HalfPlane(), tmp_path) == EVERY | {"decision-boundary", "confusion-matrix"}


def test_images_of_ten_classes_have_a_confusion_matrix_and_every_layers_spikes(tmp_path: Path):
    pytest.importorskip("sklearn")
    network = ConvNet([1, 8, 8], [4, "pool", 4], [8, 10], LIF(threshold=0.5))
    task = Classification(network, ConstantCurrent(3), MeanOverTime(), CrossEntropy())
    expected = EVERY | {"spikes-layer-2", "spikes-layer-3", "confusion-matrix"}
    assert drawn(task, Digits(), tmp_path) == expected


def test_regression_with_recurrent_neurons_has_what_they_learned(tmp_path: Path):
    network = RecurrentNetwork([1, 5, 1], LIF(learn={"decay": "neuron", "threshold": "layer"}))
    task = Regression(network, TimeFirst(), EveryStep())
    data = MackeyGlass(steps=20, target="each", train_samples=4, val_samples=6)
    assert drawn(task, data, tmp_path) == EVERY | {"learned-parameters"}


def test_several_classes_of_the_plane_are_drawn_as_regions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    grids = []
    monkeypatch.setattr(draw, "decision_regions", lambda grid, *_: grids.append(grid))
    task = Classification(Perceptron([2, 6, 3], LIF()), ConstantCurrent(4), MeanOverTime(), CrossEntropy())
    assert "confusion-matrix" in drawn(task, HalfPlane(), tmp_path)
    assert grids[0].shape == (draw.GRID, draw.GRID)
    assert set(np.unique(grids[0])) <= {0, 1, 2}


def test_the_confusion_matrix_counts_the_whole_validation_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    counts = []
    monkeypatch.setattr(draw, "confusion_matrix", lambda matrix, title: counts.append(matrix))
    task, data = binary(), HalfPlane(val_points=130, eval_batch_size=50)
    drawn(task, data, tmp_path)
    x, y = data.dataset("val").tensors
    with evaluation_mode(task):
        predicted = (task(x).squeeze(1) > 0).int()
    expected = [[int(((y == true) & (predicted == said)).sum()) for said in (0, 1)] for true in (0, 1)]
    assert counts[0].tolist() == expected


def test_samples_are_kept_from_all_batches_as_many_of_each_class():
    collected = ValidationSamples(CrossEntropy(), 6)
    for label in (0, 0, 1, 2):
        collected.add(torch.full((20, 4), float(label)), torch.full((20,), label), torch.zeros(20, 3))
    x, y = collected.batch()
    assert y.tolist() == [0, 1, 2, 0, 1, 2]
    assert x[:, 0].tolist() == y.tolist()


def test_a_batch_of_one_class_is_shown_all_the_same():
    collected = ValidationSamples(BinaryCrossEntropy(), 4)
    collected.add(torch.zeros(20, 2), torch.ones(20), torch.zeros(20, 1))
    assert collected.batch()[1].tolist() == [1, 1]
    points = collected.points()
    assert points is not None
    assert len(points[0]) == 20


def test_targets_that_are_no_classes_have_no_matrix():
    collected = ValidationSamples(MeanSquaredError(), 4)
    collected.add(torch.zeros(20, 2), torch.zeros(20, 1), torch.zeros(20, 1))
    assert len(collected.batch()[0]) == 4
    assert not collected.grouped


def test_of_many_layers_some_are_shown_under_their_own_numbers():
    task = Classification(Perceptron([2, *[3] * 9, 1], LIF()), ConstantCurrent(4), MeanOverTime())
    shown = activities(task, torch.randn(2, 2), 3)
    assert [layer.name.split(" (")[0] for layer in shown] == ["layer 1", "layer 5", "layer 9"]


def test_the_trace_of_a_sample_is_the_networks_own():
    task, x = binary(), torch.randn(1, 2)
    with evaluation_mode(task):
        value, outputs, _ = task.respond(x)
        seen = trace_sample(task, x)
    assert torch.equal(seen.value, value)
    assert seen.outputs.tolist() == outputs[:, 0].tolist()
    (trace,) = seen.layers
    assert trace.distance is not None
    assert ((trace.distance >= 0) == (trace.spikes == 1)).all()


def test_sequences_of_different_lengths_are_shown_to_their_ends_alone():
    task = Regression(Perceptron([2, 6, 1], LIF()), TimeFirst(), EveryStep()).eval()
    x, y, lengths = torch.randn(2, 9, 2), torch.randn(2, 9, 1), torch.tensor([4, 6])
    with torch.no_grad():
        task.network.layers[0].bias.fill_(1.0)  # they fire after the end too
        collected = ValidationSamples(task.loss, 2)
        collected.add(x, y, task(x, lengths), lengths)
        alone = [activities(task, x[index : index + 1, :end], None)[0] for index, end in enumerate([4, 6])]
        (shown,), _, trace, target = draw._chosen(task, collected, None)
        end = len(target)
        value = task(x, lengths)[[4, 6].index(end), :end]
    assert shown.rate == pytest.approx(sum(one.spikes.sum() for one in alone) / (10 * 6))
    assert shown.spikes.sum() == sum(one.spikes.sum() for one in alone)
    assert trace.current.shape == (end, 2)
    np.testing.assert_allclose(trace.answers, value.numpy(), rtol=1e-6)


@pytest.mark.parametrize("steps", [1, 4, 120])
def test_the_answer_of_a_sample_is_the_readouts_after_each_step(steps: int):
    task = binary(ConstantCurrent(steps))
    with evaluation_mode(task):
        seen = trace_sample(task, torch.randn(1, 2))
    assert seen.places[-1] == steps
    assert len(seen.places) == len(seen.answers) <= 50
    means = seen.outputs.cumsum(0) / np.arange(1, steps + 1)[:, None]
    np.testing.assert_allclose(seen.answers, means[np.array(seen.places) - 1], rtol=1e-4, atol=1e-5)
    assert seen.answers[-1] == pytest.approx(seen.value[0].numpy(), rel=1e-5)


class Noisy(nn.Module):
    """An encoder that draws from torch's global generator, in evaluation too."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn(4, *x.shape)


def trained(encoder: nn.Module, every: int, folder: Path) -> tuple[dict[str, Tensor], Tensor]:
    torch.manual_seed(1)
    task = binary(encoder)
    logger = TensorBoardLogger(folder / str(every))
    trainer = Trainer(max_epochs=2, logger=logger, callbacks=[Pictures(every)], enable_checkpointing=False, **QUIET)
    trainer.fit(task, HalfPlane(train_points=40, val_points=20))
    return task.state_dict(), torch.get_rng_state()


@pytest.mark.parametrize("encoder", [Noisy, ConstantCurrent])
def test_the_weights_are_the_same_bit_for_bit_with_pictures_and_without(encoder: type[nn.Module], tmp_path: Path):
    (with_them, state), (without, expected) = (trained(encoder(), every, tmp_path) for every in (1, 0))
    assert all(torch.equal(value, without[name]) for name, value in with_them.items())
    assert torch.equal(state, expected)
    sizes = [sum(path.stat().st_size for path in (tmp_path / str(every)).rglob("events*")) for every in (1, 0)]
    assert sizes[0] > sizes[1] + 50_000  # pictures were drawn


def test_tracing_leaves_modes_and_draws_as_they_were():
    task = binary(PoissonRate(4))
    task.network.layers[0].eval()
    modes = [module.training for module in task.modules()]
    with evaluation_mode(task):
        trace_sample(task, torch.rand(1, 2))
        assert not any(module.training for module in task.modules())
    assert [module.training for module in task.modules()] == modes
    assert int(task.encoder.get_extra_state()) == 0


def test_tracing_leaves_modes_and_draws_as_they_were_where_it_fails():
    task = binary(PoissonRate(4))
    before = torch.get_rng_state()

    def fail() -> None:
        with evaluation_mode(task):
            trace_sample(task, torch.rand(1, 2))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(module.training for module in task.modules())


def test_an_animation_is_a_gif_of_one_sample_with_a_frame_for_each_step(tmp_path: Path):
    file = AnimationFile(tmp_path, 4, 7)
    Trainer(callbacks=[file], logger=False, **QUIET).validate(binary(ConstantCurrent(5)), HalfPlane(), verbose=False)
    assert file.paths == [tmp_path / "one-sample.gif"]
    with Image.open(tmp_path / "one-sample.gif") as image:
        assert (image.format, getattr(image, "n_frames", 1), image.info["loop"]) == ("GIF", 5, 0)


def test_an_animation_begins_with_its_whole_picture_and_shows_that_longest(tmp_path: Path):
    figures = []
    for height in (1, 2, 3):
        figures.append(Figure(figsize=(1, 1)))
        figures[-1].add_axes((0, 0, 1, height / 3), facecolor="black")
    plots.save_frames(figures, tmp_path / "rising.gif")
    with Image.open(tmp_path / "rising.gif") as image:
        frames = [
            (float(np.asarray(frame.convert("L")).mean()), frame.info["duration"])
            for frame in ImageSequence.Iterator(image)
        ]
    (whole, longest), (first, short), (second, _) = frames
    assert whole < second < first
    assert longest > short


def test_nothing_listens_once_a_validation_is_over(tmp_path: Path):
    task = binary()
    drawn(task, HalfPlane(), tmp_path)
    assert not task.readout._forward_hooks


def test_a_picture_that_fails_warns_and_stops_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(plots, "pixels", broken)
    with pytest.warns(UserWarning, match="no picture of epoch 1: spikes/layer 1: no space left on device"):
        assert cli(f"fit {QUICK}").status == 0


def test_a_network_that_can_not_be_looked_at_warns_and_stops_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise RuntimeError("out of memory")

    for place, name in ((ValidationSamples, "add"), (ValidationSamples, "batch")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, broken)
            with pytest.warns(UserWarning, match="no picture of epoch 1: out of memory"):
                assert cli(f"fit {QUICK}").status == 0


def test_a_picture_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def broken(*_: object) -> None:
        raise ValueError("no room")

    monkeypatch.setattr(draw, "spike_raster", broken)
    files = PictureFiles(tmp_path, "png", 4, 7)
    trainer = Trainer(callbacks=[files], logger=False, **QUIET)
    with pytest.warns(UserWarning, match="no picture of epoch 7: spikes/layer 1: no room"):
        trainer.validate(binary(), HalfPlane(), verbose=False)
    assert "one-sample" in {path.stem for path in files.paths}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": -1}, "every: -1"),
        ({"samples": 0}, "samples: 0"),
        ({"format": "pdf"}, "format: 'pdf'"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(SettingError, match=message):
        Pictures(**settings)


def test_the_last_epoch_is_drawn_in_place_of_one_shortly_before_it(tmp_path: Path):
    def drawn_of(epochs: int) -> list[int]:
        trainer = Trainer(max_epochs=epochs, logger=TensorBoardLogger(tmp_path), **QUIET)
        trainer.state.fn = TrainerFn.FITTING
        due = []
        for epoch in range(1, epochs + 1):
            trainer.fit_loop.epoch_progress.current.completed = epoch - 1
            due += [epoch] if Pictures(10).due(trainer) else []
        return due

    assert drawn_of(20) == [10, 20]
    assert drawn_of(15) == [10, 15]
    assert drawn_of(14) == [14]

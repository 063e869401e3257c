"""The picture of one sample shows it, what each layer made of it, and why the answer is what it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from litspike import LIF, ConstantCurrent, MeanOverTime, Perceptron, Population, TimeFirst
from litspike.networks import ConvNet
from litspike.networks.watch import evaluation_mode
from litspike.reports.pictures import style
from litspike.reports.pictures.draw import FRAMES, animated
from litspike.reports.pictures.sample import NEURONS, OneSample, one_sample
from litspike.reports.pictures.summarise import LayerTrace, as_image, as_sequence, trace_sample
from litspike.tasks import Classification, CrossEntropy


def layer(steps: int = 6, neurons: int = 3) -> LayerTrace:
    spikes = np.zeros((steps, neurons))
    spikes[:, 2 % neurons], spikes[0, 0] = 1, 1
    return LayerTrace("layer 1", spikes, None)


def binary(steps: int = 6, **more: Any) -> OneSample:
    answers = np.arange(float(steps))[:, None]
    return OneSample(np.ones((steps, 2)), [layer(steps)], answers, ["logit of class 1"], **more)


def classes(steps: int = 6, count: int = 12, true: int = 3) -> OneSample:
    answers = np.outer(np.arange(1, steps + 1), np.arange(count)) / count
    probabilities = np.exp(answers) / np.exp(answers).sum(1, keepdims=True)
    names = [f"class {index}" for index in range(count)]
    return OneSample(np.ones((steps, 2)), [], answers, names, probabilities=probabilities, true=true)


def panels(figure: Figure) -> dict[str, tuple[Axes, Axes]]:
    """By what stands above it, each panel over time with the one beside it."""
    return {axes.get_title(loc="left"): (axes, figure.axes[2 * i + 1]) for i, axes in enumerate(figure.axes[::2])}


def lines(axes: Axes) -> dict[str, list[list[float]]]:
    return {str(line.get_label()): line.get_xydata().tolist() for line in axes.lines if line.get_label()[0] != "_"}


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def bars(axes: Axes) -> dict[str, float]:
    """Length of the bar at each text of a panel."""
    return {text.get_text(): bar.get_width() for text, bar in zip(axes.texts, axes.patches, strict=True)}


def test_a_sample_goes_from_input_through_spikes_and_output_to_the_readout():
    outputs = np.full((6, 1), 2.0)
    found = panels(one_sample(binary(outputs=outputs, reading="readout (Mean)"), "one sample"))
    current, spikes, output, readout = found.values()
    assert list(found) == [
        "current into the network",
        "spikes of layer 1",
        "output of the network at each step",
        "readout (Mean)",
    ]
    assert set(lines(current[0])) == {"input 0", "input 1"}
    (marks,) = (line for line in spikes[0].lines if line.get_marker() == "|")
    assert sorted(map(tuple, marks.get_xydata().tolist())) == sorted([(1, 0), *((step, 2) for step in range(1, 7))])
    assert lines(output[0])["logit of class 1"] == [[step, 2] for step in range(1, 7)]
    assert lines(readout[0])["logit of class 1"] == [[step, step - 1] for step in range(1, 7)]
    assert readout[0].get_xlabel() == "time step"


def test_beside_the_spikes_are_the_firing_rates():
    ((_, beside),) = (pair for name, pair in panels(one_sample(binary(), "t")).items() if "spikes" in name)
    segments = [segment.tolist() for segment in beside.collections[0].get_segments()]
    assert [[y, round(x, 4)] for (_, _), (x, y) in segments] == [[0, 0.1667], [1, 0], [2, 1]]
    assert "mean 0.389" in beside.get_title()


def test_beside_the_readout_are_the_probabilities_of_the_likely_classes_and_of_the_true_one():
    sample = classes()
    axes, beside = panels(one_sample(sample, "t"))["readout, the highest 5 of 12"]
    assert list(lines(axes)) == ["class 11", "class 10", "class 9", "class 8", "class 7"]
    assert sample.probabilities is not None
    assert bars(beside) == {
        **{f"class {index}": sample.probabilities[-1, index] for index in (11, 10, 9, 8)},
        "class 3, the true one": sample.probabilities[-1, 3],
    }


def test_two_classes_of_one_logit_have_two_bars():
    found = np.array([[0.5, 0.5], [0.1, 0.9]])
    sample = OneSample(np.ones((2, 2)), [], np.array([[0.0], [2.2]]), ["logit"], probabilities=found, true=0)
    assert bars(one_sample(sample, "t").axes[-1]) == {"class 1": 0.9, "class 0, the true one": 0.1}


def test_an_image_is_shown_and_a_layer_of_images_is_maps_of_its_most_active_channels():
    spikes = np.zeros((4, 12, 3, 3))
    spikes[1, 5:, 0, 2] = 1
    sample = replace(classes(4), current=np.ones((4, 1, 3, 3)), layers=[LayerTrace("layer 1", spikes, None)])
    image = np.eye(3)
    found = panels(one_sample(replace(sample, image=image), "t"))
    (_, beside), (maps, rates) = list(found.values())[:2]
    assert beside.images[0].get_array().tolist() == image.tolist()
    shown = [tiles.get_array() for tiles in maps.images]
    assert [int((tiles == 1).sum()) for tiles in shown] == [0, 7, 0, 0]  # nine channels, of which seven fired
    assert (rates.images[0].get_array() == 0.25).sum() == 7
    assert "the 9 most active of 12 channels" in list(found)[1]
    middles = [np.mean(tiles.get_extent()[:2]) for tiles in maps.images]
    assert middles == pytest.approx([1, 2, 3, 4])


def test_maps_of_a_long_sequence_are_means_over_some_steps():
    spikes = np.zeros((80, 1, 2, 2))
    spikes[10:15, 0, 1, 1] = 1
    sample = replace(classes(80), current=np.ones((80, 1)), layers=[LayerTrace("layer 1", spikes, None)])
    axes = list(panels(one_sample(sample, "t")).values())[1][0]
    assert [tiles.get_array().max() for tiles in axes.images] == [0, 0.5, 0, 0, 0, 0, 0, 0]


def test_a_sequence_is_shown_beside_what_the_encoder_makes_of_it():
    sequence = np.arange(6.0)[:, None]
    found = panels(one_sample(replace(binary(), current=np.ones((6, 40)), sequence=sequence), "t"))
    assert next(iter(found)) == "the sample"
    assert lines(found["the sample"][0])["value"] == [[step, step - 1] for step in range(1, 7)]


def test_many_inputs_are_a_map_with_its_scale():
    sample = OneSample(np.linspace(0, 3, 600).reshape(6, 100), [], np.eye(6, 1), ["output"])
    figure = one_sample(sample, "one sample")
    assert figure.axes[0].images[0].get_array().shape == (NEURONS, 6)
    assert "current into 40 of 100 inputs, evenly spaced: white 0, black 3" in words(figure)


def test_targets_are_drawn_at_every_step_or_after_the_last():
    ones = np.ones((6, 1))
    each = one_sample(OneSample(ones, [], ones, ["output"], target=2 * ones), "one sample")
    assert lines(each.axes[-2])["target"] == [[step, 2] for step in range(1, 7)]
    sample = OneSample(ones, [], ones, ["output"], target=np.array([[3.0]]), answer=np.array([[2.5]]))
    last = lines(one_sample(sample, "one sample").axes[-2])
    assert (last["target"], last["answer"]) == ([[6, 3]], [[6, 2.5]])


@pytest.mark.slow
def test_a_frame_shows_the_first_steps_alone_on_the_axes_of_all():
    sample = replace(classes(), layers=[layer()], outputs=np.ones((6, 12)))
    frames = list(animated(sample, "t"))
    whole = one_sample(sample, "t")
    assert len(frames) == 6
    for step, frame in enumerate(frames, start=1):
        for axes, expected in zip(frame.axes, whole.axes, strict=True):
            assert axes.get_xlim() == pytest.approx(expected.get_xlim())
            assert axes.get_ylim() == pytest.approx(expected.get_ylim())
        assert max(x for x, _ in lines(frame.axes[-2])["class 11"]) == step
        assert sample.probabilities is not None
        assert bars(frame.axes[-1])["class 11"] == sample.probabilities[step - 1, 11]
    assert "probability after step 3" in words(frames[2])
    assert "spikes until step 3 / 6 steps" in words(frames[2])
    rates = [frame.axes[3].collections[0].get_segments()[2][1, 0] for frame in frames]
    assert rates == pytest.approx(np.arange(1, 7) / 6)  # a neuron that fires at every step
    assert len(list(animated(binary(100), "t"))) == FRAMES


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("shape", [(1,), (50,), (1, 3, 3)], ids=str)
def test_a_sample_of_one_step_and_of_anything_can_be_drawn(value: float, shape: tuple[int, ...]):
    answers = np.full((1, 1), value)
    sample = OneSample(np.full((1, *shape), value), [layer(1)], answers, ["output"], outputs=answers)
    assert style.pixels(one_sample(sample, "one sample")).std() > 5


def test_what_is_an_image_and_what_a_sequence():
    grey = as_image(np.array([[[1.0, 2.0], [3.0, 5.0]]]))
    assert grey is not None
    assert grey.tolist() == [[0, 0.25], [0.5, 1]]
    colour = as_image(np.zeros((3, 4, 5)))
    assert colour is not None
    assert colour.shape == (4, 5, 3)
    assert as_image(np.zeros((2, 4, 4))) is None  # two polarities of events
    assert as_image(np.zeros(4)) is None
    steps = np.arange(4.0)
    found = as_sequence(steps, np.ones((4, 8)))
    assert found is not None
    assert found.tolist() == [[0], [1], [2], [3]]
    assert as_sequence(steps, steps[:, None]) is None  # it goes into the network as it is
    assert as_sequence(steps, np.ones((4, 4))) is None  # four values, the same at each step
    assert as_sequence(np.ones((4, 9)), np.ones((4, 20))) is None


def test_a_trace_knows_image_sequence_and_the_readout():
    torch.manual_seed(0)
    images = Classification(ConvNet([1, 4, 4], [2], [3], LIF()), ConstantCurrent(3), MeanOverTime(), CrossEntropy())
    sequences = Classification(Perceptron([4, 3, 1], LIF()), Population(TimeFirst(), 4), MeanOverTime())
    with evaluation_mode(images), evaluation_mode(sequences):
        image = trace_sample(images, torch.rand(1, 1, 4, 4))
        sequence = trace_sample(sequences, torch.rand(1, 5, 1))
    assert (image.image is not None, image.sequence) == (True, None)
    assert image.layers[0].spikes.shape == (3, 2, 4, 4)
    assert (sequence.image, np.shape(sequence.sequence)) == (None, (5, 1))
    assert "MeanOverTime" in image.reading

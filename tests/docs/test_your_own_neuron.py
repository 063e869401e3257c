"""The page on a neuron of one's own: its code runs, its class is short, and its configuration makes it."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from jsonargparse import ArgumentParser

from litspike.neurons import NeuronLayer

PAGE = (Path(__file__).parents[2] / "docs" / "your-own-neuron.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def user_s_folder(tmp_path, monkeypatch):
    """A folder that has the file the page shows, from where it can be imported."""
    for _, name, text in BLOCKS:
        if name:
            (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_neuron", None)


def test_the_neuron_takes_fewer_than_thirty_lines():
    (text,) = [text for _, name, text in BLOCKS if name == "my_neuron.py"]
    assert len(text.splitlines()) < 30


def test_the_page_s_code_runs(capsys):
    names = {}
    for language, name, text in BLOCKS:
        if language == "python" and not name:
            exec(compile(text, "docs/your-own-neuron.md", "exec"), names)
    assert "torch.Size([8, 10])" in capsys.readouterr().out


def test_the_neuron_does_what_its_docstring_says():
    from my_neuron import TwoSlopes

    x = np.random.default_rng(0).random((200, 3, 4)) * 0.8
    spikes, _ = TwoSlopes(slow=0.9, fast=0.6)(torch.tensor(x))
    u = np.zeros((3, 4))
    for t in range(200):
        u = u + x[t]
        s = u >= 1
        np.testing.assert_array_equal(spikes[t].numpy(), s)
        u = np.where(s, 0, u * np.where(u < 0.5, 0.9, 0.6))
    assert spikes.sum() > 0


def test_the_neuron_runs_fused():
    from my_neuron import TwoSlopes

    x = torch.rand(50, 3, 4)
    fused, expected = TwoSlopes(engine="fused")(x), TwoSlopes(engine="reference")(x)
    assert torch.equal(fused[0], expected[0])
    assert torch.equal(fused[1].u, expected[1].u)


def test_the_page_s_configuration_makes_the_neuron():
    (text,) = [text for language, _, text in BLOCKS if language == "yaml"]
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--neuron", type=NeuronLayer)
    neuron = parser.instantiate_classes(parser.parse_object({"neuron": yaml.safe_load(text)})).neuron
    assert type(neuron).__name__ == "TwoSlopes"
    assert neuron.shaped(3).threshold.shape == (3,)

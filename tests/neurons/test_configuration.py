"""Every model is named by its class path in a configuration, with typed settings and help."""

import pytest
import yaml
from jsonargparse import ArgumentParser

from litspike.neurons import LIF, NeuronLayer, Recurrent
from litspike.surrogates import FastSigmoid
from tests.models import MODELS


def made(text):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--neuron", type=NeuronLayer)
    return parser.instantiate_classes(parser.parse_object({"neuron": yaml.safe_load(text)})).neuron


@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_made_from_its_class_path_with_all_its_defaults(model):
    assert repr(made(f"class_path: litspike.neurons.{model.__name__}")) == repr(model())


def test_settings_reach_the_model():
    neuron = made("""
        class_path: litspike.neurons.LIF
        init_args:
          tau: 20.0
          reset: subtract
          learn: {tau: layer, threshold: neuron}
          surrogate: {class_path: litspike.surrogates.FastSigmoid, init_args: {slope: 5.0}}
    """)
    expected = LIF(
        tau=20.0, reset="subtract", learn={"tau": "layer", "threshold": "neuron"}, surrogate=FastSigmoid(5.0)
    )
    assert repr(neuron) == repr(expected)


def test_recurrent_connections_wrap_any_model():
    neuron = made("""
        class_path: litspike.neurons.Recurrent
        init_args: {neuron: {class_path: litspike.neurons.AdaptiveLIF, init_args: {adaptation: 0.3}}}
    """)
    assert isinstance(neuron, Recurrent)
    assert neuron.neuron.adaptation == 0.3


@pytest.mark.parametrize("line", ["reset: none", "learn: {decay: batch}", "decay: fast", "decya: 0.5", "refractory: 2"])
def test_a_wrong_setting_is_refused(line):
    with pytest.raises(Exception, match=line.split(":")[0]):
        made(f"class_path: litspike.neurons.LIF\ninit_args: {{{line}}}")


@pytest.mark.parametrize("model", MODELS)
def test_help_says_what_each_setting_is(model):
    parser = ArgumentParser()
    parser.add_class_arguments(model, "neuron")
    text = " ".join(parser.format_help().split())
    for name, entry in model.declared.items():
        assert f"--neuron.{name}" in text
        assert " ".join(entry.doc.split()[:4]) in text

"""How a step is run over time. The engines know no neuron: they take a step, its input, states and constants."""

from litspike.engine.call import Engine, run
from litspike.engine.elementary import exp, sigmoid, tanh
from litspike.engine.events.spikes import Spikes, spikes
from litspike.engine.ir.surroundings import Untraceable
from litspike.engine.rule import Rule

__all__ = ["Engine", "Rule", "Spikes", "Untraceable", "exp", "run", "sigmoid", "spikes", "tanh"]

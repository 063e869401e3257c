"""How a neuron's step is run over time. An engine knows no neuron: it gets a step, its input and its start."""

from litspike.engine.reference import run_reference

__all__ = ["run_reference"]

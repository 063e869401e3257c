from collections.abc import Iterator

import pytest
import torch

from litspike.engine.events import choice, gradient
from litspike.engine.events import spikes as spikes_module


@pytest.fixture(autouse=True)
def poisoned_buffers() -> Iterator[None]:
    """Fresh memory holds NaN, so that a value that a kernel forgets to write shows."""
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def always(monkeypatch):
    """Take the event products at every size."""
    monkeypatch.setattr(choice, "LEAST_WORK", 0)
    monkeypatch.setattr(choice, "LEAST_OUTPUTS", 0)
    monkeypatch.setattr(choice, "CROSSOVER", 2.0)
    monkeypatch.setattr(choice, "CROSSOVER_OUTPUTS", 1)
    monkeypatch.setattr(choice, "PACKED_ROWS", 0)
    monkeypatch.setattr(spikes_module, "_LEAST", 0)


@pytest.fixture
def sampled(monkeypatch, always):
    """Work out gradients at some places always; gives the places that were asked for."""
    monkeypatch.setattr(choice, "SAMPLED_CROSSOVER", 2.0)
    monkeypatch.setattr(choice, "FEEDBACK_LEAST", -(10**9))
    calls, real = [], gradient.input_gradient_at
    monkeypatch.setattr(gradient, "input_gradient_at", lambda *given: calls.append(given[0]) or real(*given))
    return calls

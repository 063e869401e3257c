"""With the settings of docs/peers.md, litspike does what snnTorch, SpikingJelly, Norse and sinabs do."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from litspike import surrogates
from litspike.neurons import LIF
from tests.peers.cases import CASES, Case

HERE = Path(__file__).parent
IDS = [f"{case.peer}-{case.name}" for case in CASES]
PEERS = sorted({case.peer for case in CASES})


def ours(case: Case, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes and membrane potential after each step, [T, B, N]."""
    name, shape = case.ours["surrogate"]
    neuron = LIF(**{**case.ours, "surrogate": getattr(surrogates, name)(shape)})
    state, spikes, potential = None, [], []
    for current in x.split(1):
        s, state = neuron(current, state)
        spikes.append(s)
        potential.append(state.u)
    return torch.cat(spikes), torch.stack(potential)


def check(case: Case, kept: dict[str, np.ndarray]) -> None:
    x = torch.tensor(case.drive(kept["input"]), requires_grad=True)
    spikes, potential = ours(case, x)
    (spikes * torch.tensor(kept["weight"])).sum().backward()

    expected, shown = kept[f"{case.name}.spikes"], kept[f"{case.name}.potential"]
    assert 0.05 < expected.mean() < 0.6
    np.testing.assert_array_equal(spikes.detach().numpy(), expected)
    if case.exposes == "before":  # the potential that the peer shows is still to be reset, and to leak
        reset = shown * (1 - expected) if case.ours["reset"] == "zero" else case.ours["decay"] * shown
        shown = reset - (expected * case.ours.get("threshold", 1.0) if case.ours["reset"] == "subtract" else 0)
    elif case.name == "leak_to_reset":
        shown = shown - case.theirs["v_reset"]  # ours is counted from there
    np.testing.assert_allclose(potential.detach().numpy(), shown, atol=2e-6)
    gradient = kept[f"{case.name}.gradient"]
    np.testing.assert_allclose(x.grad.numpy(), gradient, rtol=1e-3, atol=1e-4 * np.abs(gradient).max())


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_spikes_potentials_and_gradients_are_those_recorded_from_the_peer(case):
    check(case, dict(np.load(HERE / f"{case.peer}.npz")))


@pytest.mark.peers
@pytest.mark.parametrize("peer", PEERS)
def test_spikes_potentials_and_gradients_are_those_of_the_peer_itself(peer, tmp_path):
    variable = f"LITSPIKE_PEER_{peer.upper()}"
    python = os.environ.get(variable)
    if python is None:
        pytest.skip(f"{variable} names no Python with {peer} installed (docs/peers.md)")
    for seed in ("2", "3"):
        kept = tmp_path / f"{seed}.npz"
        subprocess.run([python, HERE / "record.py", peer, kept, seed], check=True)
        for case in CASES:
            if case.peer == peer:
                check(case, dict(np.load(kept)))

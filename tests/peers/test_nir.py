"""A file of ours is the same network in snnTorch, SpikingJelly, Norse and sinabs, and theirs is the same in ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("nir", reason="files in NIR need the extra: pip install 'litspike[nir]'")

from litspike.networks import FromNIR
from litspike.networks.nir.file import Stored, opened
from tests.peers.nir_cases import CASES, write
from tests.peers.record_nir import exchanged

HERE = Path(__file__).parent
PEERS = sorted(CASES)
THEIRS = {
    "snntorch": ["zero", "subtract", "synaptic"],
    "spikingjelly": ["default", "undecayed", "reset", "integrate", "synaptic"],
    "norse": ["box", "leak", "current"],
    "sinabs": ["several", "integrate"],
}


def check_ours(peer: str, name: str, kept: dict[str, np.ndarray], folder: Path, seed: int) -> None:
    """The peer's network of our file gives what our network gives; the file is what is written today."""
    x, own = write(peer, name, folder, seed)
    given, output = kept[f"{name}.input"], kept[f"{name}.output"]
    np.testing.assert_array_equal(x.numpy(), given)
    assert output.std() > 0
    np.testing.assert_array_equal(output, own.numpy())
    (folder / "recorded.nir").write_bytes(kept[f"{name}.file"].tobytes())
    with opened(folder / "recorded.nir") as recorded, opened(folder / f"{name}.nir") as today:
        check_same(recorded, today)


def check_same(one: Stored, other: Stored) -> None:
    assert (one.kind, sorted(one.edges), one.nodes.keys()) == (other.kind, sorted(other.edges), other.nodes.keys())
    for name, value in one.fields.items():
        np.testing.assert_array_equal(value, other.fields[name])
    for name, node in one.nodes.items():
        check_same(node, other.nodes[name])


def check_theirs(peer: str, name: str, kept: dict[str, np.ndarray], folder: Path) -> None:
    """Our network of the peer's file gives what the network gives that the peer wrote."""
    path = folder / "theirs.nir"
    path.write_bytes(kept[f"theirs-{name}.file"].tobytes())
    more: dict[str, Any] = {} if peer != "snntorch" else {"reset": "subtract" if name == "subtract" else "zero"}
    output = kept[f"theirs-{name}.output"]
    assert output.std() > 0
    found, _ = FromNIR(str(path), dialect=peer, **more)(torch.from_numpy(kept[f"theirs-{name}.input"]))
    np.testing.assert_array_equal(found.detach().numpy(), output)


@pytest.mark.parametrize(("peer", "name"), [(peer, name) for peer in PEERS for name in CASES[peer]])
def test_our_file_is_our_network_in_the_peer(peer: str, name: str, tmp_path: Path):
    with np.load(HERE / f"nir_{peer}.npz") as kept:
        check_ours(peer, name, kept, tmp_path, 0)


@pytest.mark.parametrize(("peer", "name"), [(peer, name) for peer in PEERS for name in THEIRS[peer]])
def test_the_peers_file_is_its_network_in_ours(peer: str, name: str, tmp_path: Path):
    with np.load(HERE / f"nir_{peer}.npz") as kept:
        check_theirs(peer, name, kept, tmp_path)


def test_every_file_that_was_recorded_is_compared():
    for peer in PEERS:
        with np.load(HERE / f"nir_{peer}.npz") as kept:
            names = {name.removesuffix(".file") for name in kept if name.endswith(".file")}
        assert names == {*CASES[peer], *(f"theirs-{name}" for name in THEIRS[peer])}


@pytest.mark.peers
@pytest.mark.parametrize("peer", PEERS)
def test_files_go_both_ways_with_the_peer_itself(peer: str, tmp_path: Path):
    variable = f"LITSPIKE_PEER_{peer.upper()}"
    python = os.environ.get(variable)
    if python is None:
        pytest.skip(f"{variable} names no Python with {peer} and nir installed (docs/peers.md)")
    for seed in (2, 3):
        folder, again = tmp_path / str(seed), tmp_path / f"{seed}again"
        folder.mkdir()
        again.mkdir()
        kept = exchanged(peer, python, folder, seed)
        for name in CASES[peer]:
            check_ours(peer, name, kept, again, seed)
        for name in THEIRS[peer]:
            check_theirs(peer, name, kept, again)

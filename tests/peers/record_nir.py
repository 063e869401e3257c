"""Exchange files in NIR with a peer and keep what came of it: ``python -m tests.peers.record_nir PEER``.

It runs in litspike's environment; LITSPIKE_PEER_<NAME> names the peer's Python, in which run_nir.py runs.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


def exchanged(peer: str, python: str, folder: Path, seed: int) -> dict[str, Any]:
    """For each case the file, the input and what the peer's network gave: what we wrote, and what the peer did."""
    cases = importlib.import_module("tests.peers.nir_cases")
    for name in cases.CASES[peer]:
        cases.write(peer, name, folder, seed)
    command = [python, HERE / "run_nir.py", peer, folder, str(seed)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    kept: dict[str, Any] = {}
    for path in sorted(folder.glob("*.nir")):
        kept[f"{path.stem}.file"] = np.frombuffer(path.read_bytes(), np.uint8)
        kept[f"{path.stem}.input"] = np.load(path.with_suffix(".npy"))
        kept[f"{path.stem}.output"] = np.load(path.with_suffix(".out.npy"))
    return kept


if __name__ == "__main__":
    name = sys.argv[1]
    with tempfile.TemporaryDirectory() as place:
        kept = exchanged(name, os.environ[f"LITSPIKE_PEER_{name.upper()}"], Path(place), 0)
    np.savez_compressed(HERE / f"nir_{name}.npz", **kept)

"""Graphs in NIR run by an implementation of its own, written from NIR's equations, and small graphs to be run."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np


def step_neuron(node: Any, v: Any, i: Any, x: Any, share: Any) -> tuple[Any, Any, Any]:
    """One step of a node of NIR's: output, potential and current. ``share`` gives what leaks of a time constant."""
    kind = type(node).__name__
    if kind.startswith("Cuba"):
        i = i + share(node.tau_syn) * (node.w_in * x - i)
        v = v + share(node.tau_mem) * ((node.v_leak - v) + node.r * i)
    elif kind in ("LI", "LIF"):
        v = v + share(node.tau) * ((node.v_leak - v) + node.r * x)
    else:
        v = v + share(None) * node.r * x
    if kind in ("I", "LI", "CubaLI"):
        return v, v, i
    z = (v > node.v_threshold).astype(float)
    return z, np.where(z > 0, node.v_reset, v), i


def run_neuron(node: Any, x: np.ndarray, dt: float, exact: bool = False, recurrent: Any = None) -> np.ndarray:
    """A layer of neurons over [T, B, *], from rest in its own sense, with weights and bias back to itself."""

    def share(tau: Any) -> Any:
        if tau is None:
            return dt
        return 1 - np.exp(-dt / tau) if exact else dt / tau

    v = np.broadcast_to(getattr(node, "v_leak", 0.0), x.shape[1:]).astype(float)
    i, z, found = np.zeros(x.shape[1:]), np.zeros(x.shape[1:]), []
    for current in x:
        if recurrent is not None:
            weight, bias = recurrent
            current = current + z @ weight.T + bias
        z, v, i = step_neuron(node, v, i, current, share)
        found.append(z)
    return np.stack(found)


def neurons(kind: str, size: int = 6, seed: int = 0, dt: float = 1e-4) -> Any:
    """A node with other numbers for each neuron."""
    import nir

    rng = np.random.default_rng(seed)

    def draw(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, size)

    slow, fast = draw(3, 30) * dt, draw(2, 8) * dt
    reset = {"v_threshold": draw(0.5, 1.5), "v_reset": draw(-0.5, 0.3)}
    leaky = {"r": draw(2, 6), "v_leak": draw(-0.2, 0.2)}
    return {
        "I": lambda: nir.I(r=draw(0.5, 2) / dt),
        "LI": lambda: nir.LI(tau=slow, **leaky),
        "IF": lambda: nir.IF(r=draw(0.5, 2) / dt, **reset),
        "LIF": lambda: nir.LIF(tau=slow, **leaky, **reset),
        "CubaLI": lambda: nir.CubaLI(tau_syn=fast, tau_mem=slow, w_in=draw(0.5, 2), **leaky),
        "CubaLIF": lambda: nir.CubaLIF(tau_syn=fast, tau_mem=slow, w_in=draw(0.5, 2), **leaky, **reset),
    }[kind]()


def write(path: Path, *nodes: Any, shape: tuple[int, ...] | None = None, **more: Any) -> str:
    """A file of nodes one after another; the shape of the input is that of the first where it isn't given."""
    import nir

    first = {"input": np.array(shape)} if shape else nodes[0].input_type
    named = {"input": nir.Input(first), **{f"n{index}": node for index, node in enumerate(nodes)}}
    names = [*named, "output"]
    named["output"] = more.pop("output", None) or nir.Output({"output": nodes[-1].output_type["output"]})
    edges = list(pairwise(names))
    nir.write(path, nir.NIRGraph(named, edges, type_check=False, **more))
    return str(path)

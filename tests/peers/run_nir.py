"""Files in NIR in another library: ``python tests/peers/run_nir.py PEER FOLDER``, in the peer's environment.

It reads each ``NAME.nir`` of the folder by the library's own reader, runs it on ``NAME.npy`` [T, B, *] and keeps what
comes out as ``NAME.out.npy``. Then it makes networks of its own, writes each by the library's own writer as
``theirs-NAME.nir`` and keeps input and output, ``theirs-NAME.npy`` and ``theirs-NAME.out.npy``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn

STEPS, BATCH = 30, 2


def stepwise(network: Any, x: Tensor) -> Tensor:
    """A network that takes a step and the state before it, None at rest."""
    state, outputs = None, []
    for current in x:
        output, state = network(current, state)
        outputs.append(output)
    return torch.stack(outputs)


def plain(network: Any, x: Tensor) -> Tensor:
    """A network that keeps its state itself."""
    return torch.stack([network(current) for current in x])


def snntorch_read(path: Path, x: Tensor) -> Tensor:
    from snntorch.import_nir import import_from_nir

    return stepwise(import_from_nir(nir.read(path)), x)


def snntorch_write(folder: Path) -> None:
    import snntorch
    from snntorch.export_nir import export_to_nir

    def leaky(**more: Any) -> Any:
        beta, threshold = torch.linspace(0.6, 0.95, 8), torch.full((8,), 0.75)
        return snntorch.Leaky(beta=beta, threshold=threshold, init_hidden=True, reset_delay=False, **more)

    synaptic = snntorch.Synaptic(
        **{"alpha": torch.full((8,), 0.5), "beta": torch.full((8,), 0.8), "threshold": torch.full((8,), 1.5)},
        **{"reset_mechanism": "zero", "init_hidden": True, "reset_delay": False},
    )
    networks = {
        "zero": nn.Sequential(linear(4, 8), leaky(reset_mechanism="zero"), linear(8, 3)),
        "subtract": nn.Sequential(
            linear(4, 8),
            snntorch.Leaky(beta=torch.full((8,), 0.8), threshold=torch.ones(8), init_hidden=True),
            linear(8, 3),
        ),
        "synaptic": nn.Sequential(linear(4, 8), synaptic, linear(8, 3)),
    }
    for name, network in networks.items():
        x = drive(4)
        output = plain(network, x)
        keep(folder, name, export_to_nir(network, x[0], ignore_dims=[0]), x, output)


def spikingjelly_read(path: Path, x: Tensor) -> Tensor:
    from spikingjelly.activation_based.nir_exchange.from_nir import import_from_nir

    return stepwise(import_from_nir(path), x)


def spikingjelly_write(folder: Path) -> None:
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange.to_nir import export_to_nir

    cuba = neuron.CUBALIFNode(c_decay=0.5, v_decay=0.8, v_threshold=1.5)
    networks = {
        "default": nn.Sequential(layer_of(layer.Linear(4, 8)), neuron.LIFNode(), layer_of(layer.Linear(8, 3))),
        "undecayed": nn.Sequential(
            layer_of(layer.Linear(4, 8)), neuron.LIFNode(tau=4.0, decay_input=False), layer_of(layer.Linear(8, 3))
        ),
        "reset": nn.Sequential(
            layer_of(layer.Linear(4, 8)), neuron.LIFNode(v_reset=-0.25, v_threshold=0.5), layer_of(layer.Linear(8, 3))
        ),
        "integrate": nn.Sequential(layer_of(layer.Linear(4, 8)), neuron.IFNode(), layer_of(layer.Linear(8, 3))),
        "synaptic": nn.Sequential(layer_of(layer.Linear(4, 8)), cuba, layer_of(layer.Linear(8, 3))),
    }
    for name, network in networks.items():
        x = drive(4)
        functional.reset_net(network)
        output = plain(network, x)
        functional.reset_net(network)
        keep(folder, name, export_to_nir(network, x[0]), x, output)


def norse_read(path: Path, x: Tensor) -> Tensor:
    import norse.torch

    return stepwise(norse.torch.from_nir(nir.read(path)), x)


def norse_write(folder: Path) -> None:
    import norse.torch as norse

    fast = norse.LIFBoxParameters(
        tau_mem_inv=torch.full((8,), 200.0), v_th=torch.full((8,), 0.25), v_leak=torch.zeros(8)
    )
    leak = norse.LIFBoxParameters(
        tau_mem_inv=torch.full((8,), 100.0), v_th=torch.full((8,), 0.25), v_leak=torch.full((8,), 0.1)
    )
    current = norse.LIFParameters(
        tau_mem_inv=torch.full((8,), 100.0), tau_syn_inv=torch.full((8,), 200.0),
        v_th=torch.full((8,), 0.5), v_leak=torch.zeros(8),
    )  # fmt: skip
    networks = {
        "box": norse.SequentialState(linear(4, 8), norse.LIFBoxCell(fast), linear(8, 3)),
        "leak": norse.SequentialState(linear(4, 8), norse.LIFBoxCell(leak), linear(8, 3)),
        "current": norse.SequentialState(linear(4, 8), norse.LIFCell(current), linear(8, 3)),
    }
    for name, network in networks.items():
        x = drive(4) * 2
        keep(folder, name, norse.to_nir(network, x[0, 0]), x, stepwise(network, x))  # a sample without a batch


def sinabs_read(path: Path, x: Tensor) -> Tensor:
    from sinabs.nir import from_nir

    steps, batch = x.shape[:2]
    network = from_nir(nir.read(path), batch_size=batch)
    output, _ = network(x.transpose(0, 1).flatten(0, 1))
    return output.unflatten(0, (batch, steps)).transpose(0, 1)


def sinabs_write(folder: Path) -> None:
    import sinabs.layers as sl
    from sinabs.nir import to_nir

    def lif() -> Any:
        return sl.LIFSqueeze(
            tau_mem=torch.linspace(2.0, 9.0, 8), spike_threshold=torch.full((8,), 0.25), batch_size=BATCH
        )

    networks = {
        "several": nn.Sequential(linear(4, 8), lif(), linear(8, 3)),
        "integrate": nn.Sequential(linear(4, 8), sl.IAFSqueeze(batch_size=BATCH), linear(8, 3)),
    }
    for name, network in networks.items():
        x = drive(4)
        flat = x.transpose(0, 1).flatten(0, 1)
        output = network(flat)
        graph = to_nir(network, flat)
        keep(folder, name, graph, x, output.unflatten(0, (BATCH, STEPS)).transpose(0, 1))


def linear(inputs: int, outputs: int) -> nn.Linear:
    """Weights that are multiples of 1/64: sums are exact in whatever order they are taken."""
    return layer_of(nn.Linear(inputs, outputs))


def layer_of(layer: Any) -> Any:
    with torch.no_grad():
        for value in layer.parameters():
            value.copy_((torch.rand_like(value) * 64).round() / 64 - 0.375)
    return layer


def drive(size: int) -> Tensor:
    return (torch.rand(STEPS, BATCH, size) * 32).round() / 8


def keep(folder: Path, name: str, graph: Any, x: Tensor, output: Tensor) -> None:
    nir.write(folder / f"theirs-{name}.nir", numbers(graph))
    np.save(folder / f"theirs-{name}.npy", x.numpy())
    np.save(folder / f"theirs-{name}.out.npy", output.detach().numpy())


def numbers(graph: Any) -> Any:
    """The graph with arrays where some writers leave tensors, which no file can hold."""
    for node in graph.nodes.values():
        for name, value in vars(node).items():
            if isinstance(value, Tensor):
                setattr(node, name, value.detach().numpy())
    return graph


if __name__ == "__main__":
    peer, place = sys.argv[1], Path(sys.argv[2])
    torch.manual_seed(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    for path in sorted(place.glob("*.nir")):
        with torch.no_grad():
            outputs = globals()[f"{peer}_read"](path, torch.from_numpy(np.load(path.with_suffix(".npy"))))
        np.save(path.with_suffix(".out.npy"), outputs.float().numpy())
    globals()[f"{peer}_write"](place)

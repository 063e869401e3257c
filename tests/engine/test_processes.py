"""Several processes that train one network."""

import subprocess
import sys

import pytest

from tests.conftest import LIMIT

pytestmark = pytest.mark.integration

PROGRAM = """
import sys, torch
from torch import distributed, multiprocessing
from torch.nn.parallel import DistributedDataParallel
from litspike.networks import Perceptron
from litspike.neurons import LIF

def network():
    torch.manual_seed(0)
    return Perceptron([7, 30, 2], LIF(learn={"decay": "neuron", "threshold": "layer"}))

X = torch.randn(20, 8, 7, generator=torch.Generator().manual_seed(1)) * 2

def loss(output):
    return output.square().mean()

def half(rank, folder):
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    model = DistributedDataParallel(network())
    loss(model(X[:, 4 * rank : 4 * rank + 4])[0]).backward()
    if rank == 0:
        torch.save([p.grad for p in model.parameters()], f"{folder}/gradients.pt")
    distributed.barrier()  # gloo aborts a process that leaves while the other still speaks to it
    distributed.destroy_process_group()

if __name__ == "__main__":
    folder = sys.argv[1]
    multiprocessing.spawn(half, (folder,), nprocs=2)
    whole = network()
    loss(whole(X)[0]).backward()
    found = torch.load(f"{folder}/gradients.pt")
    wanted = [p.grad for p in whole.parameters()]
    assert all(g.any() for g in wanted)
    torch.testing.assert_close(found, wanted)
"""


@pytest.mark.slow
def test_two_processes_get_the_gradients_of_one_with_both_batches(tmp_path):
    (tmp_path / "train.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "train.py"), str(tmp_path)]
    done = subprocess.run(command, timeout=LIMIT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

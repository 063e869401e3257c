"""What calibration does to a perceptron of six hidden layers: the firing rate of each, and the accuracy it reaches.

    python benchmarks/calibration.py

The same networks are trained for the same number of epochs, from PyTorch's initial weights and from these calibrated.
The points have 20 dimensions, and the label says whether they lie on the same side of two random planes through the
origin, which no linear boundary can tell.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
import warnings
from statistics import mean, stdev

import torch
from lightning import Trainer
from torch import Tensor

from litspike.callbacks import Calibration
from litspike.coding import ConstantCurrent, MeanOverTime
from litspike.data.tensors import TensorDataModule
from litspike.networks import Perceptron, firing_rates
from litspike.neurons import LIF
from litspike.seeding import generator
from litspike.surrogates import ArcTan, FastSigmoid
from litspike.tasks import Classification

SURROGATES = {"arctan": ArcTan(2.0), "sigmoid": FastSigmoid(25.0)}
DIMENSIONS = 20
POINTS = {"train": 2000, "val": 1000, "test": 5000}


class TwoPlanes(TensorDataModule):
    """Points from a standard normal; the label is 1 where two random directions give the same sign, else 0."""

    def part(self, name: str) -> tuple[Tensor, Tensor]:
        directions = torch.randn(2, DIMENSIONS, generator=generator(self.seed, 0))
        x = torch.randn(POINTS[name], DIMENSIONS, generator=generator(self.seed, 1, list(POINTS).index(name)))
        return x, ((x @ directions.T).prod(1) > 0).float()


def job(seed: int, calibrated: bool, arguments: argparse.Namespace) -> tuple[list[float], list[float], float]:
    """Train one network: the layers' rates before and after training, and the accuracy on the test part."""
    torch.manual_seed(seed)
    network = Perceptron([DIMENSIONS, *6 * [arguments.width], 1], LIF(surrogate=SURROGATES[arguments.surrogate]))
    task = Classification(
        network, ConstantCurrent(16), MeanOverTime(), lambda parameters: torch.optim.Adam(parameters, arguments.rate)
    )
    data = TwoPlanes(batch_size=50, eval_batch_size=1000, seed=seed)
    rates: list[list[float]] = []

    class Rates(Calibration):
        """Notes the rates when calibration has had its turn."""

        def on_fit_start(self, trainer: Trainer, pl_module: Classification) -> None:
            super().on_fit_start(trainer, pl_module)
            inputs = [pl_module.encoder(data.dataset("val").tensors[0])]
            rates.append(list(firing_rates(network, inputs).values()))

        def on_fit_end(self, trainer: Trainer, pl_module: Classification) -> None:
            rates.append(list(firing_rates(network, [pl_module.encoder(data.dataset("val").tensors[0])]).values()))

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            max_epochs=arguments.epochs,
            accelerator="cpu",
            default_root_dir=folder,
            callbacks=[Rates(arguments.target, batches=4 if calibrated else 0)],
            enable_checkpointing=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
            **quiet,
        )
        trainer.fit(task, data)
        (figures,) = trainer.test(task, data, verbose=False)
    return rates[0], rates[1], figures["test/accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--target", type=float, default=0.05, help="firing rate that calibration aims at")
    parser.add_argument("--surrogate", choices=SURROGATES, default="arctan")
    arguments = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    began = time.monotonic()
    for calibrated in (False, True):
        print("calibrated:" if calibrated else "as PyTorch makes the weights:")
        accuracies = []
        for seed in range(10, 10 + arguments.seeds):  # the default target was chosen on others
            before, after, accuracy = job(seed, calibrated, arguments)
            accuracies.append(accuracy)
            for when, rates in (("before", before), ("after", after)):
                print(f"  seed {seed}, spikes per neuron and step {when} training:", *(f"{rate:.4f}" for rate in rates))
        spread = stdev(accuracies) if len(accuracies) > 1 else 0.0
        each = " ".join(f"{accuracy:.4f}" for accuracy in accuracies)
        print(f"  test accuracy after {arguments.epochs} epochs: {mean(accuracies):.4f} ± {spread:.4f} ({each})")
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

"""What the networks of the configurations learn, beside networks without spikes of the same sizes.

    python benchmarks/accuracy.py
    python benchmarks/accuracy.py --tasks digits manifolds --seeds 3
    python benchmarks/accuracy.py --search 6 --tasks mackey_glass --seeds 3

A row is `fit --seeds 5` of a configuration: fit and test from each seed, one after another, each in a process of its
own. The network without spikes takes the place of the spiking one in the same configuration, so that data, batches,
epochs, loss, optimizer and its schedule are the same. The best checkpoint (on validation) is tested. Where the input
is the same at every step the network without spikes gets one step; a GRU is read at its last step.

``--search N`` first tries N settings of each network in a sweep: learning rate, sizes and epochs in the configuration's
own space (configs/spaces/), the same for the spiking network, a GRU and an LSTM. The validation loss chooses one
of them, which is then fitted and tested from each seed.

The tables of benchmarks/time_series.py and benchmarks/forecast.py follow, each with what is published.

Results are kept under logs/accuracy/ as they come: the same command goes on where it was stopped, and runs again only
what failed and the configurations that have changed. The seconds are those of a whole fit after the imports.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, cast

from litspike.cli.arguments import Call
from litspike.cli.command import Outcome
from litspike.cli.execute import run_command
from litspike.cli.process_state import console_messages
from litspike.cli.seeds import group_folder, run_seeds
from litspike.cli.sweep import sweep
from litspike.cli.sweep.command import sweep_folder
from litspike.cli.sweep.space import find, read
from litspike.data import TensorDataModule
from litspike.tasks import Regression

PROJECT = Path(__file__).resolve().parent.parent
QUIET = ["--console.epochs", "false", "--console.table", "false", "--pictures.every", "0"]
SPIKING = "spiking"
RELU = ["--model.network.neuron", "litspike.networks.ReLU", "--model.encoder.steps", "1"]
LAST_STEP = ["--model.readout", "litspike.coding.LastStep"]
GRU = ["--model.network", "benchmarks.baselines.GRU", *LAST_STEP]
LSTM = ["--model.network", "benchmarks.baselines.LSTM", *LAST_STEP]
SEARCHED = {SPIKING: [], "LSTM": LSTM, "GRU": GRU}
"""The networks of a search."""

CURRENTS = ["--model.encoder", "litspike.coding.ConstantCurrent", "--model.encoder.steps", "16"]
PLAIN = ["--model.encoder", "litspike.coding.ConstantCurrent", *RELU]


class Published(NamedTuple):
    """A row of somebody else's."""

    network: str
    result: str
    source: str


@dataclass(frozen=True)
class Comparison:
    """A task of the table: its networks, each by what it changes in the configuration, and what is published."""

    title: str
    figure: str
    networks: dict[str, list[str]]
    published: tuple[Published, ...] = ()


EVENTPROP = "Wunderlich and Pehle 2021, Scientific Reports 11"
YIN_YANG = (
    Published("without spikes, 4-30-3", "accuracy 0.976 ± 0.015", "Kriener et al. 2021, arXiv 2102.08211"),
    Published("without a hidden layer", "accuracy 0.638 ± 0.016", "Kriener et al. 2021, arXiv 2102.08211"),
    Published("spiking, 120 hidden, first spike", "accuracy 0.959 ± 0.007", "Göltz et al. 2021, arXiv 1912.11443"),
    Published("spiking, 200 hidden, EventProp", "accuracy 0.981 ± 0.002", EVENTPROP),
)
TASKS = {
    "yin_yang": Comparison(
        "Yin–Yang",
        "accuracy",
        {SPIKING: [], "spiking, currents": CURRENTS, "ReLU": PLAIN},
        published=YIN_YANG,
    ),
    "digits": Comparison("digits", "accuracy", {SPIKING: [], "ReLU": RELU}),
    "digits_sequence": Comparison("digits, a pixel a step", "accuracy", {SPIKING: [], "GRU": GRU}),
    "manifolds": Comparison("manifolds", "accuracy", {SPIKING: [], "GRU": GRU}),
    "delayed_xor": Comparison("delayed XOR", "accuracy", {SPIKING: [], "GRU": GRU}),
    "store_recall": Comparison("store and recall", "accuracy", {SPIKING: [], "GRU": GRU}),
    "mackey_glass": Comparison("Mackey–Glass", "NRMSE", {SPIKING: [], "GRU": GRU}),
}
TABLES = ("time_series", "forecast")
"""Tasks with a table of their own, by the name of the script that prints it: its runs are others than five seeds."""
FIGURES = {"accuracy": "test/accuracy", "NRMSE": "test/nrmse"}


def noted(args: list[str], home: Path) -> int:
    """Run one command of one seed, and note what the table has beyond the figures of the command line.

    A fit that goes on from a checkpoint gets no seconds: its beginning was another process's.
    """
    with console_messages(True):
        sys.path.append(str(PROJECT))  # where benchmarks.baselines lies
        began = time.perf_counter()
        call = Call(args, home)
        outcome = run_command(call, home)
        seconds = {} if call.option("--ckpt_path") else {"fit/seconds": time.perf_counter() - began}
        more = measured(outcome) if call.subcommand == "test" else seconds
        assert outcome.run is not None
        outcome.run.note(figures={**outcome.run.record()["figures"], **more})
        return 0


def measured(outcome: Outcome) -> dict[str, float]:
    """What the receipt of a test says of size and firing, and the error of a regression in its targets' own spread."""
    assert outcome.run is not None
    receipt = json.loads((outcome.run.folder / "receipt.json").read_text(encoding="utf-8"))
    figures = {"network/parameters": float(receipt["parameters"]["all"])}
    if layers := receipt["layers"].values():  # those that spike
        spikes = sum(layer["rate"] * layer["neurons"] for layer in layers)
        figures["test/firing_rate"] = spikes / sum(layer["neurons"] for layer in layers)
    if isinstance(outcome.parts.model, Regression):
        targets = cast(TensorDataModule, outcome.parts.data).dataset("test").tensors[1]
        figures["test/nrmse"] = float(outcome.trainer.callback_metrics["test/rmse"] / targets.std(correction=0))
    return figures


def chosen(config: Path, changes: list[str], trials: int, logs: Path) -> Path:
    """Sweep over the space of a configuration, where that isn't done; the configuration of the best trial."""
    call = Call(["sweep", "-c", str(config), *changes, *QUIET, "--trials", str(trials), "--logs", str(logs)])
    with console_messages(True):
        sweep(call, PROJECT, run_command)
    folder = sweep_folder(call, read(find(None, call.configs, PROJECT)), PROJECT)
    with (folder / "trials.csv").open(encoding="utf-8") as file:
        complete = [trial for trial in csv.DictReader(file) if trial["state"] == "complete"]
    best = min(complete, key=lambda trial: (float(trial["val/loss"]), int(trial["trial"])))
    print({name: value for name, value in best.items() if value}, flush=True)
    return folder / "best" / f"trial-{best['trial']}.yaml"


def summary(config: Path, changes: list[str], seeds: int, logs: Path) -> dict[str, Any]:
    """Fit and test from each seed, where that isn't done, and return what all come to; empty where all failed."""
    call = Call(["fit", "-c", str(config), *changes, *QUIET, "--seeds", str(seeds), "--logs", str(logs)])
    run_seeds(call, PROJECT, noted)
    path = group_folder(call, PROJECT) / "seeds.json"
    return json.loads(path.read_text(encoding="utf-8"))["figures"] if path.is_file() else {}


def row(task: Comparison, network: str, figures: dict[str, Any], seeds: int) -> str:
    """A line of the table."""
    if not figures:
        return f"| {task.title} | {network} | | no result | | | |"
    figure = figures[FIGURES[task.figure]]
    said = f"{task.figure} {figure['mean']:.4f}"
    if "interval" in figure:
        said += " ± {:.4f} ({:.4f} to {:.4f})".format(figure["standard_deviation"], *figure["interval"])
    if len(figure["values"]) < seeds:
        said += f", {len(figure['values'])} of {seeds} seeds"
    rate = f"{figures['test/firing_rate']['mean']:.3f}" if "test/firing_rate" in figures else "–"
    seconds = f"{figures['fit/seconds']['mean']:.0f}" if "fit/seconds" in figures else "–"
    parameters = f"{figures['network/parameters']['mean']:.0f}"
    return f"| {task.title} | {network} | {parameters} | {said} | {rate} | {seconds} | here |"


def report(names: list[str], seeds: int, trials: int, searched: list[str], logs: Path) -> None:
    """Print the table, once all is there."""
    rows = []
    sys.path.append(str(PROJECT))  # where benchmarks.baselines lies
    for name in names:
        task = TASKS[name]
        rows += [f"| {task.title} | {one.network} | | {one.result} | | | {one.source} |" for one in task.published]
        config = PROJECT / "configs" / f"{name}.yaml"
        networks = {one: SEARCHED[one] for one in searched} if trials else task.networks
        for network, changes in networks.items():
            place = logs / network.replace(", ", "-")
            best = [chosen(config, changes, trials, place), []] if trials else [config, changes]
            rows.append(row(task, network, summary(*best, seeds, place), seeds))
    figure = "mean ± standard deviation (95% interval of the mean)"
    print(f"| task | network | parameters | {figure} | spikes per neuron and step | seconds of a fit | source |")
    print("|---|---|---|---|---|---|---|", *rows, sep="\n")


def main(args: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*TASKS, *TABLES]
    parser.add_argument("--tasks", nargs="+", choices=names, metavar="TASK", help=f"of {', '.join(names)}")
    parser.add_argument("--seeds", type=int, default=5, help="2 or more")
    parser.add_argument("--search", type=int, default=0, metavar="N", help="first try N settings of each network")
    parser.add_argument("--networks", nargs="+", choices=SEARCHED, default=list(SEARCHED), help="of a search")
    parser.add_argument("--logs", type=Path, default=PROJECT / "logs" / "accuracy", help="where results are kept")
    options = parser.parse_args(args)
    tasks = options.tasks or (list(TASKS) if options.search else names)
    if options.search and (without := set(tasks) & set(TABLES)):
        parser.error(f"there is no search for {', '.join(sorted(without))}")
    if own := [name for name in tasks if name in TASKS]:
        report(own, options.seeds, options.search, options.networks, options.logs)
    sys.path.append(str(PROJECT))  # where benchmarks lies
    for name in tasks:
        if name in TABLES:
            print()
            import_module(f"benchmarks.{name}").main([])


if __name__ == "__main__":
    main()

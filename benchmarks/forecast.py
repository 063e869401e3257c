"""The Mackey–Glass series forecast from a network's own output, after the closed-loop task of NeuroBench, run by run.

    python benchmarks/forecast.py
    python benchmarks/forecast.py --runs 5 --networks spiking "echo state network"

A row is the mean of the symmetric mean absolute percentage error over runs, 750 points each: `configs/
mackey_glass_forecast.yaml`, the same with an LSTM in the place of its network, and an echo state network. All see the
same points, solved here anew (see litspike.data.MackeyGlassForecast): they are not those of NeuroBench's file. The echo
state network's settings are the best of 30 that are drawn, by the mean error of a forecast of the last 150 points to
learn from in six of the runs; the LSTM's (units, learning rate, epochs of Adam) so the best of 10 in three of the runs.
Results are kept under logs/forecast/ as they come. Multiplications are those of one step, as dense products: of the
spiking network three for the response of each receptive field and one for its weight, of the echo state network those
of the connections that there are. Exponentials and hyperbolic tangents are not counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from litspike.cli import main as litspike
from litspike.data.mackey_glass_forecast import MackeyGlassForecast
from litspike.metrics import mean_interval

PROJECT = Path(__file__).resolve().parent.parent
QUIET = ["--console.epochs", "false", "--console.table", "false", "--pictures.every", "0"]
SPIKING, LSTM = "spiking", "LSTM"
ECHO = "echo state network"
PUBLISHED = ((LSTM, 60_000, 13.37), (ECHO, 4_400, 14.79))
SOURCE = "published (NeuroBench: Yik et al. 2025, Nature Communications 16)"
UNITS = 186


class WithinKnown(MackeyGlassForecast):
    """What there is to learn from alone, of 750 points: the first 600, and in the test the last 150."""

    def __init__(self, run: int = 0) -> None:
        super().__init__(run, 600, 10)

    def part(self, name: str) -> tuple[Tensor, Tensor]:
        x, y = super().part(name)
        return (x, y[:, :150]) if name == "test" else (x, y)


def fitted(settings: list[str], folder: Path) -> float:
    """The error of a network that is trained, where that isn't done, and tested, in percent."""
    if not (found := sorted(folder.glob("*/*/receipt.json"))):
        fit = ["fit", "-c", str(PROJECT / "configs" / "mackey_glass_forecast.yaml"), *settings, *QUIET]
        for command in ([*fit, "--logs", str(folder)], ["test", "--logs", str(folder)]):
            if litspike(command):
                raise SystemExit(f"{folder}: failed")
        found = sorted(folder.glob("*/*/receipt.json"))
    figures = json.loads(found[-1].read_text(encoding="utf-8"))["figures"]
    return 100 * float(figures["smape"]["value"])


def spiking(run: int, logs: Path) -> float:
    """The error of a run of the configuration, in percent."""
    return fitted([f"--data.run={run}"], logs / SPIKING / str(run))


class Recurrent(NamedTuple):
    """Settings of an LSTM."""

    units: int
    rate: float
    epochs: int

    def arguments(self) -> list[str]:
        """What they are to the command line."""
        return [
            "--model.network=benchmarks.baselines.LSTM", f"--model.network.sizes=[1,{self.units},1]",
            "--model.optimizer=torch.optim.Adam", f"--model.optimizer.lr={self.rate}",
            "--model.scheduler=torch.optim.lr_scheduler.CosineAnnealingLR", f"--model.scheduler.T_max={self.epochs}",
            f"--trainer.max_epochs={self.epochs}", "--trainer.gradient_clip_val=1", "--trainer.precision=32-true",
            "--model.loss.weight=1",
        ]  # fmt: skip


@cache
def settings_of_lstm(logs: Path) -> Recurrent:
    """The best of 10 settings, by forecasts inside of what there is to learn from."""
    draw = np.random.default_rng(0)
    tried = [
        Recurrent(
            int(draw.choice([50, 100, 150])), round(10 ** draw.uniform(-3, -1.5), 5), int(draw.choice([400, 800]))
        )
        for _ in range(10)
    ]

    def error(settings: Recurrent) -> float:
        within = ["--data=benchmarks.forecast.WithinKnown", "--model.closed_loop=150"]
        place = logs / f"{LSTM}-{settings.units}-{settings.rate}-{settings.epochs}"
        errors = [
            fitted([*settings.arguments(), *within, f"--data.run={run}"], place / str(run)) for run in (0, 10, 20)
        ]
        print(settings, [round(one, 2) for one in errors], file=sys.stderr, flush=True)
        return float(np.mean(errors))

    return min(tried, key=error)


def lstm(run: int, logs: Path) -> float:
    """The error of a run of the LSTM, in percent."""
    return fitted([*settings_of_lstm(logs).arguments(), f"--data.run={run}"], logs / LSTM / str(run))


def echo_state_forecast(
    series: NDArray[np.float64],
    steps: int,
    randomness: np.random.Generator,
    units: int = 186,
    radius: float = 0.9,
    gain: float = 0.5,
    bias: float = 0.5,
    ridge: float = 1e-6,
    inputs: int = 10,
) -> NDArray[np.float64]:
    """The values that follow a series, from an echo state network whose readout ridge regression has solved.

    Equation: ``h ← tanh(R h + v z + b)``; the value is ``μ + σ w · (h, z, 1)``, z the value before it, standardised.

    Args:
        series: what is known, [T]; the first 50 steps only bring the reservoir into its course.
        steps: number of values.
        randomness: of the reservoir, which stays as it is drawn.
        units: size of the reservoir.
        radius: spectral radius of R.
        gain: v is uniform in ± gain.
        bias: b is uniform in ± bias.
        ridge: what the squares of w weigh in the regression.
        inputs: mean number of inputs a unit has from the reservoir.

    Source: Jaeger and Haas 2004, "Harnessing nonlinearity", Science 304.
    """
    inside = randomness.normal(size=(units, units)) * (randomness.random((units, units)) < inputs / units)
    inside *= radius / np.abs(np.linalg.eigvals(inside)).max()
    scales, offsets = randomness.uniform(-gain, gain, units), randomness.uniform(-bias, bias, units)
    mean, deviation = series.mean(), series.std()
    hidden, course = np.zeros(units), []
    for value in (series - mean) / deviation:
        hidden = np.tanh(inside @ hidden + scales * value + offsets)
        course.append(np.concatenate([hidden, [value, 1.0]]))
    seen, wanted = np.stack(course[50:-1]), (series[51:] - mean) / deviation
    weights = np.linalg.solve(seen.T @ seen + ridge * np.eye(units + 2), seen.T @ wanted)
    values = [course[-1] @ weights]
    while len(values) < steps:
        hidden = np.tanh(inside @ hidden + scales * values[-1] + offsets)
        values.append(np.concatenate([hidden, [values[-1], 1.0]]) @ weights)
    forecast: NDArray[np.float64] = np.array(values) * deviation + mean
    return forecast


def points(run: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The points to learn from and those to be predicted."""
    x, y = MackeyGlassForecast(run=run).part("test")
    return x.flatten().double().numpy(), y.flatten().double().numpy()


def percentage(forecast: NDArray[Any], values: NDArray[Any]) -> float:
    """Symmetric mean absolute percentage error."""
    return float(200 * np.mean(np.abs(forecast - values) / (np.abs(forecast) + np.abs(values))))


@cache
def settings_of_echo() -> dict[str, Any]:
    """The best of 30 settings, by forecasts inside of what there is to learn from."""
    draw = np.random.default_rng(0)
    known = [points(run)[0] for run in range(0, 30, 5)]

    def error(settings: dict[str, Any]) -> float:
        forecasts = [echo_state_forecast(x[:-150], 150, np.random.default_rng(0), UNITS, **settings) for x in known]
        return float(np.mean([percentage(one, x[-150:]) for one, x in zip(forecasts, known, strict=True)]))

    tried = [
        {"radius": draw.uniform(0.3, 1.2), "gain": 10 ** draw.uniform(-1, 0.3), "bias": draw.uniform(0, 1),
         "ridge": 10 ** draw.uniform(-9, -3)}
        for _ in range(30)
    ]  # fmt: skip
    return min(tried, key=error)


def echo(run: int, logs: Path) -> float:
    """The error of a run of the echo state network, in percent: nothing of it is kept."""
    known, following = points(run)
    randomness = np.random.default_rng(run)
    return percentage(echo_state_forecast(known, len(following), randomness, UNITS, **settings_of_echo()), following)


ERRORS: dict[str, Callable[[int, Path], float]] = {SPIKING: spiking, LSTM: lstm, ECHO: echo}


def multiplications(name: str, logs: Path) -> int:
    """Those of a step of ours."""
    if name == LSTM:
        units = settings_of_lstm(logs).units
        return 4 * units * (units + 1) + units
    return 8 * 17 * (3 + 1) if name == SPIKING else UNITS * 10 + 2 * UNITS + 1


def main(args: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30, help="2 to 30, spread evenly over the 30")
    parser.add_argument("--networks", nargs="+", choices=ERRORS, default=list(ERRORS), metavar="NETWORK")
    parser.add_argument("--logs", type=Path, default=PROJECT / "logs" / "forecast")
    given = parser.parse_args(args)
    sys.path.append(str(PROJECT))  # where benchmarks.baselines lies
    runs = [30 * index // given.runs for index in range(given.runs)]
    rows = [f"| {name}, {SOURCE} | {count:,} | {error} | 30 | |" for name, count, error in PUBLISHED]
    for name in given.networks:
        errors = [ERRORS[name](run, given.logs) for run in runs]
        low, high = mean_interval(errors, most=200.0)
        count, error = multiplications(name, given.logs), f"{np.mean(errors):.2f} ({low:.2f} to {high:.2f})"
        rows.append(f"| {name} | {count:,} | {error} | {len(runs)} | {max(errors):.1f} |")
    print("| network | multiplications a step | error, % (95% interval of the mean) | runs | worst run |")
    print("|---|---|---|---|---|", *rows, sep="\n")


if __name__ == "__main__":
    main()

"""Every schedule of torch's has a way in, by epoch or by step, and what is configured anew holds for what follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.optim import lr_scheduler as schedules

from tests.conftest import Cli, runs
from tests.runs.checkpoints import write_unsigned
from tests.runs.test_inside_epochs import last, same, scalars

QUICK = (
    "--data.train_points 40 --data.val_points 10 --pictures.every 0 --checkup.every 0 --trainer.max_epochs 4 "
    "--trainer.enable_progress_bar false"
)
"""Four batches an epoch."""

TORCH = "torch.optim.lr_scheduler"
WARM = {"class_path": f"{TORCH}.LinearLR", "init_args": {"start_factor": 0.1, "total_iters": 2}}
COSINE = {"class_path": f"{TORCH}.CosineAnnealingLR", "init_args": {"T_max": 3}}


def falling(epoch: int) -> float:
    """A function of the user's own."""
    return 1 / (1 + epoch)


TABLE: dict[str, tuple[dict[str, Any], int]] = {
    "LambdaLR": ({"lr_lambda": "tests.cli.test_schedules.falling"}, 1),
    "MultiplicativeLR": ({"lr_lambda": "tests.cli.test_schedules.falling"}, 1),
    "StepLR": ({"step_size": 2}, 1),
    "MultiStepLR": ({"milestones": [1, 3]}, 1),
    "ConstantLR": ({"total_iters": 2}, 1),
    "LinearLR": ({}, 1),
    "ExponentialLR": ({"gamma": 0.5}, 1),
    "SequentialLR": ({"schedulers": [WARM, COSINE], "milestones": [2]}, 1),
    "ChainedScheduler": ({"schedulers": [WARM, COSINE]}, 1),
    "CosineAnnealingLR": ({"T_max": 4}, 1),
    "CosineAnnealingWarmRestarts": ({"T_0": 2}, 1),
    "PolynomialLR": ({"total_iters": 3}, 1),
    "CyclicLR": ({"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 5}, 4),
    "OneCycleLR": ({"max_lr": 0.1, "total_steps": 16}, 4),
    "ReduceLROnPlateau": ({"patience": 0, "threshold": 10.0, "threshold_mode": "abs"}, 1),
}
"""Schedule → its settings, and how often it changes the rate in an epoch of four batches."""


def made(name: str, settings: dict[str, Any], optimizer: torch.optim.Optimizer) -> Any:
    """The schedule as torch's user writes it."""
    if "schedulers" in settings:
        parts = [made(s["class_path"].rpartition(".")[2], s["init_args"], optimizer) for s in settings["schedulers"]]
        settings = {**settings, "schedulers": parts}
    if "lr_lambda" in settings:
        settings = {"lr_lambda": falling}
    if name == "ChainedScheduler":
        return schedules.ChainedScheduler(**settings)
    return getattr(schedules, name)(optimizer, **settings)


def expected(name: str, epochs: int = 4) -> list[float]:
    """The rates at the beginnings of epochs, in torch's own loop."""
    settings, changes = TABLE[name]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.02, momentum=0.9)
    schedule = made(name, settings, optimizer)
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for _ in range(changes):
            schedule.step(*([1.0] if name == "ReduceLROnPlateau" else []))
    return rates


def settings(home: Path, **model: Any) -> str:
    sgd = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.02, "momentum": 0.9}}
    (home / "mine.yaml").write_text(yaml.safe_dump({"model": {"init_args": {"optimizer": sgd, **model}}}))
    return f"-c {home}/mine.yaml"


def rates(run: Path) -> list[float]:
    return [value for _, value in scalars(run, "learning_rate")]


@pytest.mark.parametrize("name", sorted(set(schedules.__all__) - {"LRScheduler"}))
def test_each_schedule_of_torchs_gives_the_rates_of_torchs_loop(cli: Cli, home: Path, name: str):
    entry = {"class_path": f"{TORCH}.{name}", "init_args": TABLE[name][0]}
    ran = cli(f"fit {QUICK} {settings(home, scheduler=entry)}")
    assert ran.status == 0, ran.err
    assert rates(runs(home, "mine")[0]) == pytest.approx(expected(name))


def test_a_schedule_by_step_with_a_frequency_counts_the_optimizers_steps(cli: Cli, home: Path):
    entry = {"class_path": f"{TORCH}.ExponentialLR", "init_args": {"gamma": 0.5}}
    chosen = settings(home, scheduler=entry, scheduler_interval="step", scheduler_frequency=3)
    cli(f"fit {QUICK} {chosen}")
    assert rates(runs(home, "mine")[0]) == pytest.approx([0.02 * 0.5 ** (step // 3) for step in (0, 4, 8, 12)])


CHAIN = {"class_path": f"{TORCH}.SequentialLR", "init_args": {"schedulers": [WARM, COSINE], "milestones": [2]}}
PLATEAU = {"class_path": f"{TORCH}.ReduceLROnPlateau", "init_args": {"patience": 0, "threshold": 0.5}}


@pytest.mark.parametrize(
    "model",
    [
        {"scheduler": CHAIN, "scheduler_interval": "step", "scheduler_frequency": 2},
        {"scheduler": {"class_path": f"{TORCH}.OneCycleLR", "init_args": {"max_lr": 0.1, "total_steps": 20}}},
        {"scheduler": PLATEAU, "scheduler_monitor": "train/loss"},
    ],
    ids=["chain", "cycle", "plateau"],
)
def test_a_schedule_goes_on_inside_an_epoch_where_it_was(cli: Cli, home: Path, model: dict[str, Any]):
    chosen = f"{QUICK} {settings(home, **model)}"
    cli(f"fit {chosen} --trainer.max_steps 6")
    assert cli(f"fit --ckpt_path last --logs {home}/logs --trainer.max_steps 15").status == 0
    cli(f"fit {chosen} --trainer.max_steps 15")
    pieces, whole = runs(home, "mine")
    assert same(last(pieces), last(whole))


STEPS = {"class_path": f"{TORCH}.StepLR", "init_args": {"step_size": 1, "gamma": 0.5}}


@pytest.mark.parametrize(
    ("typed", "rest"),
    [
        ("", [0.005, 0.0025]),
        ("--model.scheduler.gamma 0.1", [0.0002, 0.00002]),
        ("--model.optimizer.lr 0.2", [0.05, 0.025]),
        ("--model.scheduler null", [0.02, 0.02]),
        (f"--model.scheduler {TORCH}.CosineAnnealingLR --model.scheduler.T_max 4", [0.01, 0.0029289]),
        ("--model.optimizer torch.optim.Adam --model.optimizer.lr 0.4", [0.1, 0.05]),
        ("--model.scheduler_interval step", [0.02 / 2**8, 0.02 / 2**12]),
    ],
)
def test_a_setting_typed_to_go_on_holds_for_what_follows(cli: Cli, home: Path, typed: str, rest: list[float]):
    cli(f"fit {QUICK} {settings(home, scheduler=STEPS)} --trainer.max_epochs 2")
    ran = cli(f"fit --ckpt_path last --trainer.max_epochs 4 {typed}")
    assert ran.status == 0, ran.err
    assert ("begins anew" in ran.out) == ("Adam" in typed)
    (run,) = runs(home, "mine")
    assert rates(run) == pytest.approx([0.02, 0.01, *rest], rel=1e-3)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("OneCycleLR --model.scheduler.max_lr 0.1 --model.scheduler.total_steps 4", "4 changes and this fit 16 steps"),
        ("ReduceLROnPlateau --trainer.limit_val_batches 0", "follows val/loss, and there is no validation"),
        ("ReduceLROnPlateau --model.scheduler_interval step", "scheduler_interval"),
        ("ReduceLROnPlateau --model.scheduler_frequency 3 --trainer.check_val_every_n_epoch 2", "scheduler_frequency"),
        ("LambdaLR --model.scheduler.lr_lambda math.exp", "model.scheduler"),
        ("StepLR --model.scheduler.step_size 1 --model.scheduler_monitor test/loss", "model.scheduler_monitor"),
        ("StepLR --model.scheduler.step_size 1 --model.scheduler_frequency 0", "model.scheduler_frequency"),
    ],
)
def test_a_schedule_that_can_not_be_followed_is_refused_before_training(cli: Cli, home: Path, typed: str, said: str):
    assert said in cli(f"fit {QUICK} --model.scheduler {TORCH}.{typed}").error_line
    assert runs(home) == []


@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_a_schedule_is_not_gone_through_as_far_as_a_checkpoint_claims_to_be(cli: Cli, home: Path, interval: str):
    cli(f"fit {QUICK} {settings(home)} --trainer.max_epochs 1")
    content, far = last(runs(home, "mine")[0]), 10**18
    content["global_step"] = far
    for counter in content["loops"]["fit_loop"]["epoch_progress"]["current"]:
        content["loops"]["fit_loop"]["epoch_progress"]["current"][counter] = far
    path = write_unsigned(content, home / "far.ckpt")
    new = f"--model.scheduler {TORCH}.StepLR --model.scheduler.step_size 9 --model.scheduler_interval {interval}"
    line = cli(f"fit --ckpt_path {path} --trainer.max_epochs -1 {new}").error_line
    assert line.startswith(f"model.scheduler: the checkpoint is {far} changes from the beginning of a schedule")


@pytest.mark.parametrize("command", ["fit", "test"])
@pytest.mark.parametrize("counter", ["global_step", "epoch"])
def test_a_counter_that_no_training_reaches_is_refused(cli: Cli, home: Path, command: str, counter: str):
    cli(f"fit {QUICK} {settings(home)} --trainer.max_epochs 1")
    path = write_unsigned({**last(runs(home, "mine")[0]), counter: 10**30}, home / "far.ckpt")
    assert f"is damaged ({counter} is {10**30})" in cli(f"{command} --ckpt_path {path}").error_line

"""Sweeps: what is tried, what judges it, what is left of trials that fail or are cut short, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from lightning import Callback, LightningModule, Trainer

from litspike.data import HalfPlane
from litspike.runs.signals import Stopped
from litspike.settings import UserError
from tests.conftest import Cli, runs

pytest.importorskip("optuna", reason="sweeps need Optuna: pip install 'litspike[sweep]'")

from litspike.cli.sweep import report, space, study

QUICK = "--trainer.max_epochs 1 --data.train_points 40 --data.val_points 50 --pictures.every 0"
TWO = """
metric: [val/accuracy, val/synaptic_operations]
trials: 4
space:
  model.optimizer.lr: {low: 0.001, high: 0.1, log: true}
  model.network.sizes: [[2, 3, 1], [2, 12, 1]]
  model.encoder.steps: {low: 2, high: 8, step: 2}
"""
ONE = """
metric: val/loss
trials: 3
space:
  model.optimizer.lr: {low: 0.001, high: 0.1, log: true}
"""


def written(home: Path, text: str) -> str:
    path = home / "space.yaml"
    path.write_text(text)
    return f"--space {path}"


def folder(home: Path) -> Path:
    (found,) = (home / "logs").glob("*.sweep-*")
    return found


def rows(home: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder(home) / "trials.csv").open()))


def settings(home: Path, trial: int) -> list[dict]:
    """The configurations of a trial's runs."""
    return [yaml.safe_load(path.read_text()) for path in (folder(home) / "trials" / f"{trial:03}").rglob("config.yaml")]


@pytest.mark.slow
def test_two_metrics_give_a_pareto_front_with_table_picture_and_configurations(cli: Cli, home: Path):
    result = cli(f"sweep {written(home, TWO)} {QUICK}")
    assert (result.status, result.err) == (0, "")
    found = [(float(row["val/accuracy"]), float(row["val/synaptic_operations"])) for row in rows(home)]
    assert len(found) == 4
    front = {
        at
        for at, (accuracy, cost) in enumerate(found)
        if not any(a >= accuracy and c <= cost and (a, c) != (accuracy, cost) for a, c in found)
        and (accuracy, cost) not in found[:at]
    }
    assert "Pareto front" in result.out
    assert {int(number) for number in re.findall(r"^│ +(\d+) +│", result.out, re.MULTILINE)} == front
    assert (folder(home) / "front.png").read_bytes()[:4] == b"\x89PNG"
    files = sorted((folder(home) / "best").glob("*.yaml"))
    assert {int(path.stem.removeprefix("trial-")) for path in files} == front
    named = int(re.findall(r"train one: .* fit -c .*/trial-(\d+)\.yaml", result.out)[0])
    assert found[named][0] == max(accuracy for accuracy, _ in found)
    assert cli(f"fit -c {files[0]}").status == 0
    (again,) = runs(home, files[0].stem)
    best = json.loads((again / "run.json").read_text())["best"]
    assert best["val/accuracy"] == found[int(files[0].stem.removeprefix("trial-"))][0]


def test_of_the_folder_of_the_best_only_trials_that_are_no_longer_among_them_go(home: Path):
    (home / "best").mkdir()
    kept, gone = home / "best" / "trial-mine.yaml", home / "best" / "trial-3.yaml"
    for path in (kept, gone):
        path.write_text("trainer: {max_epochs: 7}\n")
    assert report.configurations(home, [], ["val/loss"], {3: home / "trials" / "003"}) == []
    assert kept.read_text() == "trainer: {max_epochs: 7}\n"
    assert not gone.exists()


@pytest.mark.slow
def test_the_operations_are_those_of_the_receipt(cli: Cli, home: Path):
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(60, 2)), np.arange(60) % 2
    parts = {"train_x": x, "train_y": y, "val_x": x[:20] + 1, "val_y": y[:20], "test_x": x[:20] + 1, "test_y": y[:20]}
    np.savez(home / "own.npz", **parts)
    arrays = f"--data litspike.data.Arrays --data.path {home}/own.npz"
    one = "metric: val/synaptic_operations\ntrials: 1\nspace: {model.encoder.steps: [6, 4]}"
    assert cli(f"sweep {written(home, one)} {arrays} --trainer.max_epochs 1 --pictures.every 0").status == 0
    (best,) = folder(home).rglob("best.ckpt")
    assert cli(f"test --ckpt_path {best}").status == 0
    receipt = json.loads((best.parents[1] / "receipt.json").read_text())
    assert float(rows(home)[0]["val/synaptic_operations"]) == pytest.approx(receipt["operations"]["effective"])


@pytest.mark.slow
def test_the_test_data_are_never_read(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []
    part = HalfPlane.part
    monkeypatch.setattr(HalfPlane, "part", lambda self, name: (asked.append(name), part(self, name))[1])
    assert cli(f"sweep {written(home, TWO)} {QUICK} --trials 2").status == 0
    assert set(asked) == {"train", "val"}


@pytest.mark.slow
def test_a_trial_that_becomes_nan_is_counted_and_the_sweep_goes_on(cli: Cli, home: Path):
    lines = ONE.replace("{low: 0.001, high: 0.1, log: true}", "[1.0e+38, 0.01]").replace("trials: 3", "trials: 4")
    result = cli(f"sweep {written(home, lines)} {QUICK} --trainer.max_epochs 2")
    assert result.status == 0
    by_state: dict[str, set[str]] = {}
    for row in rows(home):
        by_state.setdefault(row["state"], set()).add(row["model.optimizer.lr"])
    assert by_state == {"complete": {"0.01"}, "fail": {"1.0e+38"}}
    assert all("loss became" in row["error"] for row in rows(home) if row["state"] == "fail")
    assert re.search(r"trial \d \(\d of 4\): failed: the train loss became", result.out)


def test_where_all_trials_fail_one_line_says_why(cli: Cli, home: Path):
    lines = ONE.replace("{low: 0.001, high: 0.1, log: true}", "[1.0e+38, 2.0e+38]")
    line = cli(f"sweep {written(home, lines)} {QUICK} --trainer.max_epochs 2 --trials 2").error_line
    assert line.startswith("sweep: no trial is complete; the last failed: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trials: 3", "the key space must name the settings to try"),
        ("trails: 3\nspace: {model.optimizer.lr: [0.1, 0.2]}", "has no key 'trails'; did you mean trials?"),
        ("space: {model.optimizer.lr: {low: 0.1}}", "space: model.optimizer.lr has no high"),
        ("space: {model.optimizer.lr: {low: 0.1, hihg: 0.2}}", "has no key 'hihg'; did you mean high?"),
        ("space: {model.optimizer.lr: 0.1}", "space: model.optimizer.lr: 0.1 must be {low: …, high: …}"),
        ("space: {model.optimizer.lr: {low: 2, high: 1}}", "space: model.optimizer.lr: low: 2 is not below high, 1"),
        ("space: {model.optimizer.lr: {low: 0, high: 1, log: true}}", "low: 0 has no logarithm"),
        ("space: {model.optimizer.lr: {low: a, high: 1}}", "space: model.optimizer.lr: low: 'a' is not a number"),
        ("space: {model.encoder.steps: {low: 1, high: 9, step: 0.5}}", "step: 0.5 is not an integer"),
        ("space: {model.encoder.steps: [4]}", "space: model.encoder.steps: choices: [4] must be a list of two"),
        ("space: {model.optimizer.lrr: [0.1, 0.2]}", "model.optimizer.lrr"),
        ("space: {model.network.neuron.decay: {low: 0.5, high: 1.3}}", "model.network.neuron.decay: 1.3 is outside"),
        ("space: {model.encoder.steps: {low: 0, high: 4}}", "model.encoder.steps: 0 is less than 1"),
        ("metric: test/accuracy\nspace: {model.optimizer.lr: [0.1, 0.2]}", "'test/accuracy' is no metric of valid"),
        ("metric: val/acuracy\nspace: {model.optimizer.lr: [0.1, 0.2]}", "'val/acuracy' is none of val/loss, val/acc"),
        ("metric: [val/loss, val/accuracy, val/f]\nspace: {a: [0, 1]}", "must be one metric or two"),
        ("metric: {val/loss: low}\nspace: {model.optimizer.lr: [0.1, 0.2]}", "val/loss: 'low' must be min or max"),
        ("trials: 0\nspace: {model.optimizer.lr: [0.1, 0.2]}", "space: trials: 0 is less than 1"),
        ("pruning: 3\nspace: {model.optimizer.lr: [0.1, 0.2]}", "space: pruning: 3 must be true or false"),
    ],
)
def test_a_wrong_space_is_one_line_before_any_training(cli: Cli, home: Path, text: str, said: str):
    assert said in cli(f"sweep {written(home, text)} {QUICK}").error_line
    assert not (home / "logs").exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--model.optimizer.lr 0.1", "model.optimizer.lr: it is typed, and the space"),
        ("--ckpt_path last", "ckpt_path: a sweep starts anew"),
        ("--trainer.fast_dev_run true", "trainer.fast_dev_run: it keeps nothing"),
        ("--trainer.enable_checkpointing false", "trainer.enable_checkpointing: a sweep judges"),
        ("--trials 1.5", "trials: '1.5' is not an integer"),
        ("--seeds 2 --data.seed 1", "seeds: --data.seed can't be set beside --seeds"),
        ("--space nowhere", "space: there is no file nowhere: name a YAML file by --space"),
    ],
)
def test_what_a_sweep_cannot_have_is_refused(cli: Cli, home: Path, typed: str, said: str):
    assert cli(f"sweep {written(home, ONE)} {QUICK} {typed}").error_line.startswith(said)


def test_a_configuration_without_a_space_says_which_there_are(cli: Cli):
    assert cli("sweep -c article").error_line.startswith("space: article has none: name a YAML file by --space")


def test_what_is_typed_holds_in_each_trial(cli: Cli, home: Path):
    assert cli(f"sweep {written(home, ONE)} {QUICK} --trainer.gradient_clip_val 0.5 --trials 2").status == 0
    for trial in (0, 1):
        (config,) = settings(home, trial)
        assert config["trainer"]["gradient_clip_val"] == 0.5
        assert config["trainer"]["max_epochs"] == 1
        assert config["checkpoint"]["monitor"] == "val/loss"


def test_of_several_seeds_the_mean_counts(cli: Cli, home: Path):
    assert cli(f"sweep {written(home, ONE)} {QUICK} --seeds 2 --trials 1").status == 0
    assert {(one["seed_everything"], one["data"]["init_args"]["seed"]) for one in settings(home, 0)} == {(0, 0), (1, 1)}
    records = [json.loads(path.read_text()) for path in (folder(home) / "trials").rglob("run.json")]
    losses = [record["best"]["val/loss"] for record in records]
    assert losses[0] != losses[1]
    assert float(rows(home)[0]["val/loss"]) == pytest.approx(sum(losses) / 2)
    assert not any(name.startswith("test/") for record in records for name in record["figures"])


@pytest.mark.slow
def test_the_same_command_adds_trials_and_the_same_seed_draws_the_same(cli: Cli, home: Path):
    command = f"sweep {written(home, ONE)} {QUICK}"
    assert cli(f"{command} --trials 2").status == 0
    again = cli(f"{command} --trials 3")
    assert again.out.count("(3 of 3)") == 1
    assert "(2 of 3)" not in again.out
    drawn = [row["model.optimizer.lr"] for row in rows(home)]
    assert len(set(drawn)) == 3
    assert cli(f"{command} --trials 3 --logs {home}/others").status == 0
    (other,) = (home / "others").glob("*.sweep-*/trials.csv")
    assert [row["model.optimizer.lr"] for row in csv.DictReader(other.open())] == drawn


class StopsOnce(Callback):
    """Is asked to end in the third epoch of the second fit, as by Ctrl-C, the first time that this comes."""

    fits = 0
    stopped = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        StopsOnce.fits += 1

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (StopsOnce.fits, trainer.current_epoch, StopsOnce.stopped) == (2, 2, False):
            StopsOnce.stopped = True
            raise Stopped(signal.SIGINT)


@pytest.fixture
def stops_once() -> str:
    StopsOnce.fits, StopsOnce.stopped = 0, False
    return f"--trainer.callbacks {__name__}.StopsOnce"


@pytest.mark.slow
def test_after_ctrl_c_the_study_is_kept_and_the_same_command_goes_on_in_the_trial(
    cli: Cli, home: Path, stops_once: str
):
    command = f"sweep {written(home, ONE)} {QUICK} {stops_once} --trainer.max_epochs 4 --trials 2"
    stopped = cli(command)
    assert stopped.status == 130
    assert stopped.error_line.startswith("interrupted: 1 trial is kept, the same command goes on (")
    drawn = settings(home, 1)[0]["model"]["init_args"]["optimizer"]["init_args"]["lr"]
    result = cli(command)
    assert (result.status, result.err) == (0, "")
    assert "trial 1: was cut short, and goes on" in result.out
    assert [row["state"] for row in rows(home)] == ["complete", "complete"]
    (config,) = settings(home, 1)  # one run, which went on
    assert config["model"]["init_args"]["optimizer"]["init_args"]["lr"] == drawn
    (last,) = (folder(home) / "trials" / "001").rglob("last.ckpt")
    assert torch.load(last, weights_only=True)["epoch"] == 3
    assert StopsOnce.fits == 3


def opened(home: Path, text: str = ONE, epochs: int = 10) -> study.Study:
    written(home, text)
    return study.Study(home / "sweep", space.read(home / "space.yaml"), ["min"], epochs)


def be_killed(home: Path) -> None:
    with opened(home).turn(5) as turn:
        assert turn is not None
        (home / "drawn").write_text(" ".join(opened(home).space.arguments(turn.trial)))
        os.kill(os.getpid(), signal.SIGKILL)


def test_the_trial_of_a_process_that_was_killed_is_taken_up_with_its_values(home: Path):
    process = get_context("fork").Process(target=be_killed, args=(home,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    again = opened(home)
    with again.turn(5) as turn:
        assert turn is not None
        assert (turn.number, turn.resumed) == (0, True)
        assert again.space.arguments(turn.trial) == (home / "drawn").read_text().split()
        again.tell(turn, [1.0])
    with again.turn(5) as turn:
        assert turn is not None
        assert (turn.number, turn.resumed) == (1, False)


def test_a_line_of_the_journal_that_was_cut_short_is_left_out(home: Path):
    with opened(home).turn(3) as turn:
        assert turn is not None
    journal = home / "sweep" / study.JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines()[-1][:20])
    again = opened(home)
    assert journal.read_bytes().startswith(whole)
    with again.turn(3) as turn:
        assert turn is not None
    assert [trial.number for trial in opened(home).trials()] == [0]  # which was taken up, and can be read again


@pytest.mark.parametrize("line", [b"[1]", b"\xff\xfe", b"{}", b'{"op_code": 77}', b'{"op_code": 4}'])
def test_a_damaged_journal_is_one_line(home: Path, line: bytes):
    opened(home)
    journal = home / "sweep" / study.JOURNAL
    journal.write_bytes(line + b"\n" + journal.read_bytes())
    with pytest.raises(UserError, match=r"journal\.log is damaged"):
        opened(home)


def test_a_journal_that_is_a_pipe_is_one_line(home: Path):
    (home / "sweep").mkdir()
    os.mkfifo(home / "sweep" / study.JOURNAL)
    with pytest.raises(UserError, match=r"journal\.log is no file"):
        opened(home)


def test_several_processes_on_one_study_get_trials_of_their_own_and_stop_at_the_number(home: Path):
    first, second = opened(home), opened(home)
    with first.turn(2) as mine, second.turn(2) as theirs, first.turn(2) as none:
        assert mine is not None
        assert theirs is not None
        assert (mine.number, theirs.number, none) == (0, 1, None)
        first.tell(mine, [0.5])
        second.tell(theirs, [0.25])
    assert [trial.values for trial in first.trials()] == [[0.5], [0.25]]
    assert [trial.number for trial in second.best()] == [1]


def test_a_trial_that_does_worse_than_the_median_is_pruned_after_a_quarter_of_its_epochs(home: Path):
    found = opened(home, epochs=8)
    for value in (0.1, 0.2, 0.3, 0.4, 0.5):
        with found.turn(9) as turn:
            assert turn is not None
            assert all(found.judge(turn, epoch, value) for epoch in range(4))
            found.tell(turn, [value])
    with found.turn(9) as bad:
        assert bad is not None
        assert [found.judge(bad, epoch, 0.35) for epoch in range(4)] == [True, True, False, False]


def test_a_pruned_fit_ends_and_the_sweep_goes_on(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(study.Study, "judge", lambda self, turn, epoch, value: turn.number != 1 or epoch < 1)
    result = cli(f"sweep {written(home, ONE)} {QUICK} --trainer.max_epochs 4")
    assert (result.status, result.err) == (0, "")
    assert [row["state"] for row in rows(home)] == ["complete", "pruned", "complete"]
    (last,) = (folder(home) / "trials" / "001").rglob("last.ckpt")
    assert torch.load(last, weights_only=True)["epoch"] < 2
    assert "3 trials: 2 complete, 1 pruned, 0 failed" in result.out


@pytest.mark.slow
def test_a_choice_may_be_a_class_and_false_or_null(home: Path, cli: Cli):
    text = """
trials: 4
space:
  model.network.neuron: [litspike.neurons.LIF, {class_path: litspike.neurons.IF}]
  trainer.gradient_clip_val: [null, 1.0]
  model.network.batch_norm: [false, true]
"""
    assert cli(f"sweep {written(home, text)} {QUICK}").status == 0
    tried = [one for trial in range(4) for one in settings(home, trial)]
    for config, row in zip(tried, rows(home), strict=True):
        network = config["model"]["init_args"]["network"]["init_args"]
        assert network["neuron"]["class_path"] in row["model.network.neuron"]
        assert str(network["batch_norm"]).lower() == row["model.network.batch_norm"]
        clip = config["trainer"].get("gradient_clip_val")
        assert row["trainer.gradient_clip_val"] == ("null" if clip is None else str(clip))


def test_settings_with_a_comma_between_them_get_the_same_value(cli: Cli, home: Path):
    path = home / "space.yaml"
    path.write_text("trials: 2\nspace:\n  trainer.max_epochs, model.scheduler.T_max: [2, 3]\n")
    tried = space.read(path)
    assert [given for _, given in tried.corners()] == [
        [f"--trainer.max_epochs={epochs}", f"--model.scheduler.T_max={epochs}"] for epochs in (2, 3)
    ]
    assert cli(f"sweep --space {path} --model.scheduler.T_max 4").err.startswith("litspike: model.scheduler.T_max: ")


def test_settings_are_called_by_as_few_parts_as_tell_them_apart():
    names = ["model.network.dropout", "model.head.dropout", "model.optimizer.lr"]
    assert list(report.short(names).values()) == ["network.dropout", "head.dropout", "lr"]


@pytest.mark.slow
def test_litspikes_own_space_suits_its_configuration(cli: Cli, home: Path):
    command = "sweep -c arrays --trainer.max_epochs 1 --trainer.limit_train_batches 2 --pictures.every 0 --trials 1"
    result = cli(command)
    assert (result.status, result.err) == (0, "")
    assert rows(home)[0]["val/synaptic_operations"] != ""

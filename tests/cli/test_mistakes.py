"""A user's mistake gets one line that names the setting and the value, before any training; nothing is left behind."""

from __future__ import annotations

import errno
import os
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from lightning import LightningModule, Trainer

from litspike.callbacks import Console
from litspike.cli.process_state import console_messages
from litspike.settings import LitspikeWarning
from tests.conftest import Cli, runs

QUICK = "--trainer.max_epochs 1 --data.train_points 50 --pictures.every 0"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--data.btch_size 4", "data.btch_size: there is no such setting; did you mean data.batch_size?"),
        ("--trainer.max_epoch 4", "trainer.max_epoch: there is no such setting; did you mean trainer.max_epochs?"),
        ("--model.network.neuron.decayy 1", "model.network.neuron.decayy: there is no such setting; did you mean"),
        ("extra", "extra: there is no such setting"),
        ("--data.batch_size x", "data.batch_size: 'x' is not an integer"),
        ("--data.batch_size 0", "data.batch_size: 0 is less than 1"),
        ("--data.train_points 0", "data.train_points: 0 is less than 1"),
        ("--data.test_points -3", "data.test_points: -3 is less than 1"),
        ("--data.seed -1", "data.seed: -1 is less than 0"),
        ("--seed_everything -1", "seed_everything: -1 is less than 0"),
        ("--threads 0", "threads: 0 is less than 1"),
        ("--model.network.neuron.threshold 0", "model.network.neuron.threshold: 0.0 is outside (0, inf)"),
        ("--model.network.neuron.threshold nan", "model.network.neuron.threshold: 'nan' is not a number"),
        ("--model.network.neuron.decay 1.3", "model.network.neuron.decay: 1.3 is outside [0, 1]"),
        ("--model.network.neuron.decay abc", "model.network.neuron.decay: 'abc' is not a number or null"),
        ("--model.network.neuron.decay null --model.network.neuron.tau 0", "model.network.neuron.tau: 0.0 is outside"),
        ("--model.network.neuron litspike.Neuron", "model.network.neuron: Neuron declares no step"),
        (
            "--model.network.neuron.surrogate Surrogate",
            "model.network.neuron.surrogate: Surrogate has no method derivative",
        ),
        (
            "--model.network.neuron {'class_path':'LIF','init_args':{'decay':.inf}}",
            "model.network.neuron.decay: 'inf' is not a",
        ),
        ("--trainer.callbacks Callback", "trainer.callbacks: Callback would do nothing: it has none of the methods"),
        ("--trainer.callbacks Checkpoint", "trainer.callbacks: Checkpoint would do nothing"),
        ("--trainer.callbacks BaseFinetuning", "trainer.callbacks: lightning.pytorch.callbacks.BaseFinetuning has no"),
        ("--trainer.callbacks BasePredictionWriter", "trainer.callbacks: lightning.pytorch.callbacks.BasePredictionWr"),
        ("--trainer.callbacks ProgressBar", "trainer.callbacks: lightning.pytorch.callbacks.ProgressBar has no method"),
        ("--trainer.logger Logger", "trainer.logger: Logger has no method log_hyperparams, log_metrics"),
        ("--trainer.plugins LayerSync", "trainer.plugins: LayerSync has no method apply, revert"),
        ("--model.scheduler LRScheduler", "model.scheduler: torch.optim.lr_scheduler.LRScheduler has no method get_lr"),
        ("--model.optimizer Optimizer", "model.optimizer: Optimizer has no method step"),
        ("--model.network Module", "model.network: torch.nn.Module has no method forward"),
        ("--model.encoder torch.nn.Module", "model.encoder: torch.nn.Module has no method forward"),
        ("--model LightningModule", "model: lightning.LightningModule has no method training_step"),
        ("--data LightningDataModule", "data: lightning.LightningDataModule has no method train_dataloader"),
        ("--model.metrics.acc Metric", "model.metrics.acc: Metric has no method compute, update"),
        ("--model.metrics.acc X", "model.metrics.acc: 'X' is no class that is known here"),
        ("--model.metrics.acc litspike.neurons.LIF", "model.metrics.acc: litspike.neurons.LIF is no Metric"),
        ("--model.network.neuron.dt -1", "model.network.neuron.dt: -1.0 is outside (0, inf)"),
        ("--model.network.neuron.tau 10", "model.network.neuron.tau: 10.0 is given beside decay 0.9"),
        ("--model.network.neuron litspike.neurons.LIFF", "model.network.neuron: module 'litspike.neurons' has no"),
        ("--model.network.neuron.surrogate.alpha 0", "model.network.neuron.surrogate.alpha: 0.0 is outside (0, inf)"),
        ("--model.network.sizes [2,0,1]", "model.network.sizes[1]: 0 is less than 1"),
        ("--model.encoder.steps 0", "model.encoder.steps: 0 is less than 1"),
        ("--model.optimizer.lr -1", "model.optimizer: Invalid learning rate: -1"),
        ("--model.network.sizes [2,10,2]", "the network gives [2] outputs a sample; two classes need one logit"),
        ("--trainer.accelerator gpu", "trainer.accelerator: 'gpu' asks for a GPU and torch sees none: set cpu or auto"),
        ("--trainer.accelerator quantum", "trainer: You selected an invalid accelerator name: `accelerator='quantum'`"),
        ("-c missing.yaml", "config: there is no file missing.yaml"),
        (
            "--data litspike.data.Arrays --data.path litspike:wine.csv --data.val_path litspike:wine.csv",
            "data.val_path: 'litspike:wine.csv' is the file of path too: a part needs samples of its own",
        ),
    ],
)
def test_a_wrong_setting_is_named(cli: Cli, home: Path, arguments: str, line: str):
    if "gpu" in arguments and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert cli(f"fit {QUICK} {arguments}").error_line.startswith(line)
    assert runs(home) == []


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ("checkpoint: {monitor: test/loss}", "checkpoint.monitor"),
        (
            "trainer: {callbacks: {class_path: EarlyStopping, init_args: {monitor: test/loss}}}",
            "trainer.callbacks.monitor",
        ),
        (
            """
trainer:
  callbacks:
  - lightning.pytorch.callbacks.LearningRateMonitor
  - {class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: test/loss}}
""",
            "trainer.callbacks[1].monitor",
        ),
        (
            "trainer: {callbacks: [{class_path: ModelCheckpoint, init_args: {monitor: test/loss}}]}",
            "trainer.callbacks[0].monitor",
        ),
        (
            """
model:
  init_args:
    scheduler: {class_path: lightning.pytorch.cli.ReduceLROnPlateau, init_args: {monitor: test/loss}}
""",
            "model.scheduler.monitor",
        ),
    ],
)
def test_nothing_in_a_fit_is_decided_by_the_test_data(cli: Cli, home: Path, settings: str, name: str):
    (home / "mine.yaml").write_text(settings)
    line = cli(f"fit {QUICK} -c {home}/mine.yaml").error_line
    assert line == f"{name}: 'test/loss' is no metric of training or validation"
    assert runs(home, "mine") == []
    (home / "mine.yaml").write_text(settings.replace("test/loss", "val/loss"))
    result = cli(f"fit {QUICK} -c {home}/mine.yaml")
    assert (result.status, result.err) == (0, "")


def test_a_scheduler_that_follows_a_metric_that_is_not_there_gets_one_line(cli: Cli, home: Path):
    plateau = "--model.scheduler torch.optim.lr_scheduler.ReduceLROnPlateau"
    assert cli(f"fit {QUICK} {plateau}").status == 0  # it follows val/loss
    line = cli(f"fit {QUICK} {plateau} --model.scheduler_monitor val/los").error_line
    assert "val/los" in line
    assert "val/loss" in line.replace("val/los ", "")


def test_early_stopping_by_a_figure_that_is_not_there_gets_one_line(cli: Cli, home: Path):
    (home / "mine.yaml").write_text("trainer: {callbacks: {class_path: EarlyStopping, init_args: {monitor: val/los}}}")
    line = cli(f"fit {QUICK} -c {home}/mine.yaml").error_line
    assert line.startswith("trainer.callbacks.monitor: 'val/los' is no metric of this fit")
    assert " val/loss," in line
    assert runs(home, "mine") == []


@pytest.mark.parametrize("setting", ["checkpoint.monitor", "model.scheduler_monitor"])
def test_a_metric_that_no_task_of_ours_logs_is_refused_before_training(cli: Cli, home: Path, setting: str):
    result = cli(f"fit {QUICK} --{setting} train/acuracy")
    assert result.error_line.startswith(f"{setting}: 'train/acuracy' is no metric of this fit, Classification logs")
    assert "epoch" not in result.out
    assert runs(home) == []


def test_an_entry_of_a_metric_that_gives_a_row_can_be_followed(cli: Cli, home: Path):
    recall = "{class_path: torchmetrics.Recall, init_args: {task: multiclass, num_classes: 2, average: none}}"
    (home / "mine.yaml").write_text(f"model: {{init_args: {{metrics: {{recall: {recall}}}}}}}")
    result = cli(f"fit {QUICK} -c {home}/mine.yaml --checkpoint.monitor val/recall_1 --checkpoint.mode max")
    assert (result.status, result.err) == (0, "")


@pytest.mark.parametrize(
    ("monitor", "typed", "mode"),
    [
        ("val/loss", "", "min"),
        ("val/accuracy", "", "max"),
        ("val/f1", "", "max"),
        ("val/hinge", "", "min"),
        ("val/accuracy", "--checkpoint.mode min", "min"),
    ],
)
def test_the_best_checkpoint_is_the_one_that_its_metric_calls_best(cli: Cli, home: Path, monitor, typed, mode):
    own = "{f1: {class_path: torchmetrics.F1Score, init_args: {task: binary}}, "
    own += "hinge: {class_path: torchmetrics.HingeLoss, init_args: {task: binary}}}"
    (home / "mine.yaml").write_text(f"model: {{init_args: {{metrics: {own}}}}}")
    result = cli(f"fit {QUICK} -c {home}/mine.yaml --checkpoint.monitor {monitor} {typed}")
    assert (result.status, result.err) == (0, "")
    (run,) = runs(home, "mine")
    kept = torch.load(run / "checkpoints" / "best.ckpt")["callbacks"]
    (key,) = [key for key in kept if key.startswith("BestCheckpoint")]
    assert f"'mode': '{mode}'" in key
    assert f"'monitor': '{monitor}'" in key


EARLY, KEPT = "lightning.pytorch.callbacks.EarlyStopping", "lightning.pytorch.callbacks.ModelCheckpoint"
STOP = "trainer: {{callbacks: [{{class_path: {}, init_args: {{monitor: {}, mode: {}}}}}]}}"
PLATEAU = "model: {{init_args: {{scheduler: {{class_path: {}, init_args: {{mode: {}{}}}}}{}}}}}"
OF_TORCH, OF_LIGHTNING = "torch.optim.lr_scheduler.ReduceLROnPlateau", "lightning.pytorch.cli.ReduceLROnPlateau"


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        (STOP.format(EARLY, "val/accuracy", "min"), "trainer.callbacks[0].mode: 'min' takes the minimum of val/acc"),
        (STOP.format(KEPT, "val/loss", "max"), "trainer.callbacks[0].mode: 'max' takes the maximum of val/loss for"),
        (STOP.format(EARLY, "val/accuracy", "max"), None),
        (STOP.format(KEPT, "val/loss", "min"), None),
        (PLATEAU.format(OF_TORCH, "min", "", ", scheduler_monitor: val/accuracy"), "model.scheduler.mode: 'min' takes"),
        (PLATEAU.format(OF_TORCH, "max", "", ", scheduler_monitor: val/accuracy"), None),
        (PLATEAU.format(OF_LIGHTNING, "min", ", monitor: val/accuracy", ""), "model.scheduler.mode: 'min' takes"),
        (PLATEAU.format(OF_LIGHTNING, "min", ", monitor: val/loss", ""), None),
    ],
)
def test_what_follows_the_wrong_end_of_a_metric_is_said(
    cli: Cli, home: Path, recwarn: pytest.WarningsRecorder, text: str, setting: str | None
):
    (home / "mine.yaml").write_text(text)
    assert cli(f"fit {QUICK} -c {home}/mine.yaml --trainer.fast_dev_run 1").status == 0
    said = [str(warning.message) for warning in recwarn if warning.category is LitspikeWarning]
    assert len(said) == (setting is not None)
    assert all(line.startswith(str(setting)) for line in said)


def test_a_class_of_a_checkpoint_that_is_gone_is_named_with_its_setting(cli: Cli, home: Path, monkeypatch):
    text = "from litspike import LIF, Perceptron\nclass Net(Perceptron): ...\nclass N(LIF): ...\n"
    (home / "mynet.py").write_text(text)
    monkeypatch.syspath_prepend(home)
    own = "--model.network mynet.Net --model.network.sizes [2,5,1] --model.network.neuron mynet.N"
    assert cli(f"fit {QUICK} {own}").status == 0
    monkeypatch.delattr("mynet.N")
    assert cli("test").error_line == "model.network.neuron: module 'mynet' has no attribute 'N'"
    monkeypatch.delattr("mynet.Net")
    assert cli("test").error_line == "model.network: module 'mynet' has no attribute 'Net'"


@pytest.mark.parametrize("text", ["modell: 3\n", "model: [\n", "", "model:\n  init_args:\n    netwrk: 3\n"])
def test_a_bad_configuration_file_gets_one_line(cli: Cli, home: Path, text: str):
    (home / "bad.yaml").write_text(text)
    assert cli(f"fit -c {home}/bad.yaml").error_line
    assert runs(home) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", "say what to do: fit, sweep, validate"),
        ("--trainer.max_epochs 1", "say what to do: fit, sweep, validate"),
        ("fitt", "fitt: there is no such command; did you mean fit?"),
        ("compar a b", "compar: there is no such command; did you mean compare?"),
        ("x", "x: there is no such command; there are fit, sweep, validate, test"),
    ],
)
def test_a_command_that_is_none_gets_one_line(cli: Cli, arguments: str, line: str):
    assert cli(arguments).error_line.startswith(line)


@pytest.mark.parametrize("command", ["test", "validate", "predict", "fit --ckpt_path last"])
def test_without_a_run_it_says_what_to_do(cli: Cli, command: str):
    line = cli(command).error_line
    assert "no" in line
    assert "`python main.py fit`" in line


def test_a_run_that_did_not_finish_is_not_tested_silently(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupts(console: Console, trainer: Trainer, module: LightningModule) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    cli(f"fit {QUICK}")
    monkeypatch.setattr(Console, "on_train_epoch_start", interrupts)
    assert cli(f"fit {QUICK} --trainer.max_epochs 2 --console.epochs false").status == 130
    finished, run = runs(home)
    line = cli("test").error_line
    assert f"{run}, did not finish, go on with it by `python main.py fit --ckpt_path last`" in line
    assert f"take it as it is by --ckpt_path {run}; or name another run, such as {finished}" in line
    assert f"checkpoint: {run / 'checkpoints' / 'best.ckpt'}" in cli(f"test --ckpt_path {run}").out


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "no checkpoint"])
def test_a_damaged_checkpoint_gets_one_line(cli: Cli, home: Path, damage: str):
    cli(f"fit {QUICK}")
    path = runs(home)[0] / "checkpoints" / "best.ckpt"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "no checkpoint":
        torch.save([1, 2], path)
    else:
        path.write_text("" if damage == "empty" else "hello")
    assert cli("test").error_line.startswith(str(path))


def test_a_checkpoint_that_would_run_code_is_not_opened(cli: Cli, home: Path, tmp_path: Path):
    trace = tmp_path / "it-ran"

    class Trap:
        def __reduce__(self):
            return os.system, (f"touch {trace}",)

    cli(f"fit {QUICK}")
    best = runs(home)[0] / "checkpoints" / "best.ckpt"
    content = torch.load(best, weights_only=True)
    untrusted = tmp_path / "untrusted.ckpt"
    torch.save({**content, "hyper_parameters": Trap()}, untrusted)
    line = cli(f"test --ckpt_path {untrusted}").error_line
    assert "holds code and was not opened" in line
    assert "posix.system" in line
    assert "set to `False`" not in line  # torch's advice, which would run it
    assert not trace.exists()
    pickle.loads(pickle.dumps(Trap()))  # the trap works where it is sprung
    assert trace.exists()


def test_a_checkpoint_of_another_network_is_refused(cli: Cli, home: Path):
    cli(f"fit {QUICK} --model.network.sizes [2,7,1]")
    best = runs(home)[0] / "checkpoints" / "best.ckpt"
    line = cli(f"test --ckpt_path {best} --model.network.sizes [2,10,1]").error_line
    assert "belongs to another network: network.layers.0.weight is [7, 2] there and [10, 2]" in line


def test_a_missing_checkpoint_is_named(cli: Cli):
    assert cli("test --ckpt_path nowhere.ckpt").error_line == "ckpt_path: there is no file nowhere.ckpt"


def test_a_logs_folder_that_cannot_be_written_is_named(cli: Cli, tmp_path: Path):
    (tmp_path / "file").write_text("")
    line = cli(f"fit {QUICK} --logs {tmp_path}/file").error_line
    assert line.startswith(f"logs: {tmp_path}/file can't be written")


def test_a_nan_loss_stops_at_its_step_and_keeps_the_last_good_checkpoint(cli: Cli, home: Path):
    cli(f"fit {QUICK} --trainer.max_epochs 2")
    (run,) = runs(home)
    before = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    after = "--ckpt_path last --trainer.max_epochs 4 --model.optimizer.lr 1e38 --model.optimizer.fused false"
    line = cli(f"fit {after}").error_line
    assert line.startswith("the train loss became")
    assert "at step 1" in line
    kept = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(torch.equal(kept["state_dict"][name], value) for name, value in before["state_dict"].items())


def test_a_full_disk_gets_one_line_and_keeps_what_was_complete(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    save, saved = torch.save, []

    def filling(*arguments: object) -> None:
        saved.append(arguments)
        if len(saved) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*arguments)

    monkeypatch.setattr(torch, "save", filling)
    line = cli(f"fit {QUICK} --trainer.max_epochs 3").error_line
    assert "can't be written (No space left on device): the checkpoint before it is kept" in line
    (run,) = runs(home)
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 0
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_two_runs_never_share_a_folder(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    for _ in range(3):  # all three may begin within one second
        cli(f"fit {QUICK} --console.epochs false")
    assert len(runs(home)) == 3


def test_a_warning_of_litspikes_is_one_line(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> None:
        raise RuntimeError("no matter\n why")

    monkeypatch.setattr("litspike.reports.checkup.callback.gradient_norms", fails)
    with pytest.warns(LitspikeWarning) as told:
        assert cli(f"fit {QUICK}").status == 0
    message = next(warning for warning in told if warning.category is LitspikeWarning)  # others warn once a process
    with console_messages(True):
        shown = warnings.formatwarning(message.message, message.category, message.filename, message.lineno)  # type: ignore[arg-type]
    assert shown == "litspike: no further check-up: RuntimeError: no matter why\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            "--model.scheduler ReduceLROnPlateau",
            "model.scheduler: several classes are called ReduceLROnPlateau, give its",
        ),
        ("--data ImageFolder", "data: 'ImageFolder' is no class that is known here, give its full path"),
        ("--data torch.nn.Linear", "data: torch.nn.Linear is no LightningDataModule"),
        ("--model 3", "model: '3' is no class that is known here"),
        ("--data [1]", "data: [1] is no LightningDataModule"),
        ("--trainer.callbacks EarlyStoping", "trainer.callbacks: 'EarlyStoping' is no class that is known here"),
        ("--model.network.neuron LI", "model.network.neuron: 'LI' is no class that is known here"),
        ("--model.network litspike.nothing.X", "model.network: module 'litspike' has no attribute 'nothing'"),
        ("--data nowhere.X", "data: No module named 'nowhere'"),
        ("--model.optimizer.lr last", "model.optimizer.lr: 'last' is not a number"),
        ("--model.scheduler StepLR", "model.scheduler.step_size: it must be set"),
        ("--trainer.callbacks EarlyStopping", "trainer.callbacks.monitor: it must be set"),
        ("--trainer.logger CSVLogger", "trainer.logger.save_dir: it must be set"),
        ("--data Arrays", "data.path: it must be set"),
        ("--model.network.neuron litspike.Recurrent", "model.network.neuron.neuron: it must be set"),
        (
            "--model.network litspike.networks.SEWResNet",
            "model.network.input_shape, model.network.channels, model.network.blocks, model.network.outputs: they must",
        ),
    ],
)
def test_the_name_of_a_class_that_is_none(cli: Cli, home: Path, arguments: str, line: str):
    assert cli(f"fit {QUICK} {arguments}").error_line.startswith(line)
    assert runs(home) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model: {class_path: 3}", "model: class_path: 3 is no class"),
        ("trainer: {callbacks: [{class_path: [x]}]}", "trainer.callbacks[0]: class_path: ['x'] is no class"),
        ("model: {init_args: {network: {init_args: 3}}}", "model.network: init_args: 3 is no group of settings"),
        ("modell: {x: 3}", "modell.x: there is no such setting; did you mean model?"),
        ("datta: 3", "datta: there is no such setting; did you mean data?"),
        ("trainer: {callbacks: [ModelSummary, EarlyStopping]}", "trainer.callbacks[1].monitor: it must be set"),
        (
            "trainer: {logger: [{class_path: lightning.pytorch.loggers.CSVLogger, init_args: {name: x}}]}",
            "trainer.logger[0].save_dir: it must be set",
        ),
    ],
)
def test_a_configuration_of_the_wrong_form(cli: Cli, home: Path, text: str, line: str):
    (home / "bad.yaml").write_text(text)
    assert cli(f"fit -c {home}/bad.yaml").error_line.startswith(line)

"""What is used of libraries' private parts is there, and does what it is used for."""

from __future__ import annotations

import argparse
import os
import signal
from collections import namedtuple
from typing import Any

import jsonargparse
import pytest
import torch
import yaml
from lightning import LightningDataModule, LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.demos.boring_classes import BoringModel, RandomDataset
from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultCollection
from lightning.pytorch.trainer.states import TrainerFn
from torch import distributed, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader

from litspike.internals import jsonargparse as of_jsonargparse
from litspike.internals import lightning as of_lightning
from litspike.internals import torch as of_torch


def quiet(**settings: Any) -> Trainer:
    return Trainer(
        logger=False, accelerator="cpu", enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, **settings,
    )  # fmt: skip


def test_jsonargparse_reads_values_by_the_loader_that_is_changed(monkeypatch: pytest.MonkeyPatch):
    loader = of_jsonargparse.yaml_loader()
    assert issubclass(loader, yaml.SafeLoader | yaml.CSafeLoader)
    asked: list[str] = []
    monkeypatch.setattr(loader, "get_single_data", lambda self: asked.append("read") or {"a": 1})
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=dict[str, int])
    assert parser.parse_args(["--value={b: 2}"]).value == {"a": 1}
    assert asked


def test_what_jsonargparse_may_import_is_limited_and_then_as_it_was():
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(argparse.Action, "thing", required=False)
    args = ["--thing=decimal.Decimal"]

    def error() -> str:
        with pytest.raises(jsonargparse.ArgumentError) as raised:
            parser.parse_args(args)
        return str(raised.value)

    before = error()
    with of_jsonargparse.limited_imports(["torch"], []):
        assert "Importing 'decimal.Decimal' is not allowed, denied by" in error()
    assert "is not allowed" not in before
    assert error() == before


def test_a_parser_names_its_settings():
    parser = jsonargparse.ArgumentParser()
    parser.add_argument("--a.b", type=int)
    parser.add_class_arguments(argparse.Namespace, "c")
    assert {"a.b"} <= set(of_jsonargparse.setting_names(parser))


@pytest.mark.parametrize("loaders", [1, 2])
def test_what_a_sanity_check_logged_is_known_of_one_loader_and_of_several(loaders: int):
    found: list[list[str]] = []

    class Logs(BoringModel):
        def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
            self.log("val_loss", self.step(batch))
            self.log("val_step", 1.0, on_step=True, on_epoch=False)

        def val_dataloader(self) -> Any:
            return [DataLoader(RandomDataset(32, 4)) for _ in range(loaders)]

        def on_validation_end(self) -> None:
            found.append(of_lightning.validation_metrics(self.trainer))

    quiet(num_sanity_val_steps=1, max_epochs=1, limit_train_batches=1).fit(Logs())
    names = ["val_loss"] if loaders == 1 else ["val_loss/dataloader_idx_0", "val_loss/dataloader_idx_1"]
    assert found[-2:] == [names, names]


@pytest.mark.parametrize(("strategy", "spawns"), [("ddp", False), ("ddp_spawn", True), ("auto", False)])
def test_a_strategy_that_spawns_is_told_from_one_that_runs_the_command_line(strategy: str, spawns: bool):
    devices = 1 if strategy == "auto" else 2
    assert of_lightning.spawns_or_forks(quiet(strategy=strategy, devices=devices)) is spawns


def test_the_processes_that_lightning_starts_are_handed_over(monkeypatch: pytest.MonkeyPatch):
    started: list[list[str]] = []
    monkeypatch.setattr("subprocess.Popen", lambda command, **_: started.append(command) or len(started))
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    for name in ("MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name)
    trainer, handed = quiet(strategy="ddp", devices=3), []
    of_lightning.after_launch(trainer, handed.extend)
    launcher: Any = trainer.strategy.launcher
    monkeypatch.setattr("lightning.pytorch.strategies.launchers.subprocess_script._launch_process_observer", len)
    launcher.launch(lambda: None)
    assert handed == [1, 2]
    assert launcher.procs == []


def test_a_trainer_leaves_sigterm_to_the_handler_that_was_there():
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    received: list[bool] = []

    class Model(BoringModel):
        def on_train_start(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            received.append(self.trainer.received_sigterm)

    try:
        trainer = quiet(max_steps=1, limit_val_batches=0)
        of_lightning.leave_sigterm(trainer)
        trainer.fit(Model())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (heard, received) == ([signal.SIGTERM], [False])


@pytest.mark.parametrize("logs", [False, True])
def test_metrics_of_a_batch_are_put_together_where_some_were_logged(logs: bool, monkeypatch: pytest.MonkeyPatch):
    asked: list[bool] = []
    whole = _ResultCollection.metrics
    monkeypatch.setattr(_ResultCollection, "metrics", lambda self, step: asked.append(step) or whole(self, step))

    class Model(BoringModel):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            outputs = super().training_step(batch, batch_idx)
            if logs:
                self.log("number", float(batch_idx))
            return outputs

        def on_train_batch_end(self, *_: Any) -> None:
            assert self.trainer._results.batch is not None

        def on_train_epoch_end(self) -> None:
            assert self.trainer._results.batch is None

    trainer = quiet(max_steps=3, limit_val_batches=0)
    of_lightning.skip_empty_metrics(trainer)
    trainer.fit(Model())
    assert trainer.callback_metrics.get("number") == (2.0 if logs else None)
    assert asked.count(True) >= 3 if logs else True not in asked


def test_a_loop_that_goes_on_is_no_longer_taken_for_one():
    trainer = quiet(max_steps=1, max_epochs=-1)
    trainer.fit_loop.restarting = True
    trainer.fit_loop.restarting = False
    assert trainer.fit_loop.restarting, "the public setter does it now: use that"
    of_lightning.clear_restarting(trainer)
    assert not trainer.fit_loop.restarting


def test_a_new_training_loader_is_made_wherever_the_data_come_from():
    model: LightningModule = BoringModel()
    given = DataLoader([1, 2])
    for loaders in (None, given):
        trainer = quiet(max_steps=1, limit_val_batches=0)
        trainer.strategy.connect(model)
        trainer.state.fn = TrainerFn.FITTING
        trainer.fit(model, loaders and DataLoader(model.train_dataloader().dataset))
        made = of_lightning.new_training_loader(trainer)
        assert isinstance(made, DataLoader)


def test_the_processes_of_a_training_have_a_store(tmp_path: Any):
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        store = of_torch.process_store()
        store.set("name", "value")
        assert store.get("name") == b"value"
        assert store.check(["name"])
    finally:
        distributed.destroy_process_group()


class ByPosition(LightningDataModule):
    def train_dataloader(self) -> Any:
        return DataLoader(RandomDataset(32, 4), 2, True)

    def predict_dataloader(self) -> Any:
        return [DataLoader(RandomDataset(32, 4), 2)]


@pytest.mark.parametrize(("method", "settings"), [("predict", {}), ("fit", {"max_epochs": 1, "overfit_batches": 1})])
def test_lightning_makes_a_loader_anew_whose_arguments_came_by_position(method: str, settings: dict[str, Any]):
    model = BoringModel()
    model.val_dataloader = None  # type: ignore[method-assign,assignment]
    data = ByPosition()
    with pytest.raises(MisconfigurationException, match=r"got multiple values|more than one `__init__` argument"):
        getattr(quiet(**settings), method)(model, datamodule=data)
    of_lightning.name_loader_arguments(data)
    trainer = quiet(**settings)
    getattr(trainer, method)(model, datamodule=data)
    seen = trainer.predict_dataloaders[0] if method == "predict" else trainer.train_dataloader
    assert seen.batch_sampler.batch_size == 2 if method == "predict" else seen.batch_size == 2


def test_hooks_of_a_layer_and_of_all_modules_are_seen():
    layer, called = nn.Linear(2, 2), []
    assert of_torch.calls_forward_alone(layer, nn.Linear)
    assert not of_torch.calls_forward_alone(layer, nn.Bilinear)
    for register in (
        layer.register_forward_hook, layer.register_forward_pre_hook, layer.register_full_backward_hook,
        layer.register_full_backward_pre_hook, nn.modules.module.register_module_forward_hook,
        nn.modules.module.register_module_forward_pre_hook, nn.modules.module.register_module_full_backward_hook,
        nn.modules.module.register_module_full_backward_pre_hook,
    ):  # fmt: skip
        handle = register(lambda *_: called.append("hook"))
        assert not of_torch.calls_forward_alone(layer, nn.Linear), register.__name__
        assert of_torch.has_forward_hooks(layer) is (handle.id in {*layer._forward_hooks, *layer._forward_pre_hooks})
        handle.remove()
    assert of_torch.calls_forward_alone(layer, nn.Linear)
    assert not called


def test_norms_and_convolutions_are_known_by_their_bases():
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.LazyBatchNorm2d)
    assert all(issubclass(norm, of_torch.BatchNorm) for norm in norms)
    assert not issubclass(nn.InstanceNorm2d, of_torch.BatchNorm)
    assert all(issubclass(norm, of_torch.BatchOrInstanceNorm) for norm in (*norms, nn.InstanceNorm2d))
    assert all(issubclass(layer, of_torch.Convolution) for layer in (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d))
    assert nn.BatchNorm1d.forward is nn.BatchNorm2d.forward is of_torch.BatchNorm.forward


@pytest.mark.parametrize("mode", ["zeros", "reflect", "circular"])
def test_a_convolution_takes_another_weight_with_its_own_padding(mode: Any):
    layer = nn.Conv2d(2, 3, 3, padding=1, stride=2, padding_mode=mode)
    other = nn.Conv2d(2, 3, 3, padding=1, stride=2, padding_mode=mode, bias=False)
    x = torch.rand(1, 2, 5, 5)
    assert torch.equal(of_torch.convolve(layer, x, other.weight), other(x))


def test_a_named_tuple_that_is_registered_has_a_place_in_a_saved_program():
    Pair = namedtuple("Pair", ["a", "b"])
    form = pytree.tree_structure(Pair(1, 2))
    with pytest.raises(NotImplementedError, match="register"):
        pytree.treespec_dumps(form)
    of_torch.register_namedtuple(Pair, "tests.test_internals.Pair")
    assert pytree.treespec_loads(pytree.treespec_dumps(form)) == form


def test_no_mode_of_torch_is_active_where_none_is_to_be():
    with FakeTensorMode():
        assert type(torch.ones(2)) is not torch.Tensor
        with of_torch.without_modes():
            assert type(torch.ones(2)) is torch.Tensor
        assert type(torch.ones(2)) is not torch.Tensor

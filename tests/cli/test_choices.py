"""Every optimizer of torch's, every profiler, strategy, plugin and precision of Lightning's: it works, or a line."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import get_args

import pytest
import torch
from lightning.pytorch import plugins, profilers, strategies
from lightning.pytorch.trainer.connectors.accelerator_connector import _PRECISION_INPUT

from tests.conftest import Cli, runs

TRIAL = "fit --data.train_points 20 --data.val_points 10 --trainer.fast_dev_run 1"

OPTIMIZERS: dict[str, str | None] = {
    "ASGD": None,
    "Adadelta": None,
    "Adafactor": None,
    "Adagrad": None,
    "Adam": None,
    "AdamW": None,
    "Adamax": None,
    "LBFGS": None,
    "Muon": "model.optimizer: Muon only supports 2D parameters",
    "NAdam": None,
    "RAdam": None,
    "RMSprop": None,
    "Rprop": None,
    "SGD": None,
    "SparseAdam": "model.optimizer: SparseAdam does not support dense gradients",
}
PROFILERS: dict[str, str | None] = {
    "AdvancedProfiler": None,
    "PassThroughProfiler": None,
    "PyTorchProfiler": None,
    "SimpleProfiler": None,
    "XLAProfiler": "torch_xla",
}
STRATEGIES: dict[str, str | None] = {
    "DDPStrategy": None,
    "DeepSpeedStrategy": "deepspeed",
    "FSDPStrategy": "FSDP",
    "ModelParallelStrategy": "ModelParallelStrategy",
    "SingleDeviceStrategy": None,
}
PLUGINS: dict[str, tuple[str, str | None]] = {
    "AsyncCheckpointIO": ("{}", "trainer.plugins: AsyncCheckpointIO can't be used: checkpoints are written whole"),
    "BitsandbytesPrecision": ("{mode: nf4}", "trainer.plugins[0]: BitsandbytesPrecision can't be made: bitsan"),
    "DeepSpeedPrecision": ("{precision: 32-true}", "trainer.plugins: DeepSpeedPrecision is its strategy's own"),
    "DoublePrecision": ("{}", None),
    "FSDPPrecision": ("{precision: 32-true}", "trainer.plugins: FSDPPrecision is its strategy's own"),
    "HalfPrecision": ("{precision: bf16-true}", None),
    "MixedPrecision": ("{precision: bf16-mixed, device: cpu}", None),
    "Precision": ("{}", None),
    "TorchCheckpointIO": ("{}", "trainer.plugins: TorchCheckpointIO can't be used: checkpoints are written whole"),
    "TorchSyncBatchNorm": ("{}", None),
    "TransformerEnginePrecision": (
        "{weights_dtype: torch.bfloat16}",
        "trainer.plugins[0]: TransformerEnginePrecision can't be made: trans",
    ),
    "XLACheckpointIO": ("{}", "trainer.plugins[0]: XLACheckpointIO can't be made: torch_xla"),
    "XLAPrecision": ("{}", "trainer.plugins[0]: XLAPrecision can't be made: torch_xla"),
}
PRECISIONS: dict[str, str | None] = {
    "16": None,
    "16-mixed": None,
    "16-true": "trainer.precision: '16-true' holds no value",
    "32": None,
    "32-true": None,
    "64": None,
    "64-true": None,
    "bf16": None,
    "bf16-mixed": None,
    "bf16-true": None,
    "transformer-engine": "transformer_engine",
    "transformer-engine-float16": "transformer_engine",
}
"""Name → what a line says that refuses it here; None where it works."""

BASES = {"Profiler", "Strategy", "ParallelStrategy", "CheckpointIO", "LayerSync"}


def test_the_tables_have_a_line_for_all_that_torch_and_lightning_offer():
    offered = {name for name in torch.optim.__all__ if inspect.isclass(getattr(torch.optim, name))}
    assert set(OPTIMIZERS) == offered - {"Optimizer"}
    assert set(PROFILERS) | BASES >= set(profilers.__all__) >= set(PROFILERS)
    assert set(STRATEGIES) | BASES >= set(strategies.__all__) >= set(STRATEGIES)
    assert set(PLUGINS) | BASES >= set(plugins.__all__) >= set(PLUGINS)
    named = {str(name) for kind in get_args(_PRECISION_INPUT) for name in get_args(kind)}
    assert set(PRECISIONS) == named


def check(cli: Cli, home: Path, typed: str, settings: str, line: str | None) -> None:
    """A trial with these settings works, or is refused by a line."""
    (home / "mine.yaml").write_text(settings)
    ran = cli(f"{TRIAL} -c {home}/mine.yaml {typed}")
    assert runs(home, "mine") == []
    if line is None:
        assert ran.status == 0, ran.err
    else:
        assert line.lower() in ran.error_line.lower()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer(cli: Cli, home: Path, name: str):
    check(cli, home, f"--model.optimizer torch.optim.{name}", "{}", OPTIMIZERS[name])


@pytest.mark.parametrize("name", PROFILERS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # XLAProfiler's, which wasn't made
def test_a_profiler(cli: Cli, home: Path, name: str):
    entry = f"{{class_path: lightning.pytorch.profilers.{name}, init_args: {{dirpath: {home}/profile}}}}"
    entry = f"lightning.pytorch.profilers.{name}" if name in ("PassThroughProfiler", "XLAProfiler") else entry
    line = "a trial" if name == "PassThroughProfiler" else PROFILERS[name]
    check(cli, home, "", f"trainer: {{profiler: {entry}}}", line)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy(cli: Cli, home: Path, name: str):
    place = f"lightning.pytorch.strategies.{name}"
    given = "{device: cpu}" if name == "SingleDeviceStrategy" else "{}"
    check(cli, home, "", f"trainer: {{strategy: {{class_path: {place}, init_args: {given}}}}}", STRATEGIES[name])
    check(cli, home, f"--trainer.strategy {place}", "{}", f"'{place}' is no name of a strategy; a class is given as")


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin(cli: Cli, home: Path, name: str):
    given, line = PLUGINS[name]
    check(
        cli,
        home,
        "",
        f"trainer: {{plugins: [{{class_path: lightning.pytorch.plugins.{name}, init_args: {given}}}]}}",
        line,
    )


@pytest.mark.parametrize("name", PRECISIONS)
def test_a_precision(cli: Cli, home: Path, name: str):
    check(cli, home, f"--trainer.precision {name}", "{}", PRECISIONS[name])


def test_machines_that_have_no_address_to_meet_at_are_not_waited_for(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    for name in ("MASTER_ADDR", "LOCAL_RANK", "WORLD_SIZE", "NODE_RANK"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
        monkeypatch.delenv(name)
    line = cli(f"{TRIAL} --trainer.num_nodes 2").error_line
    assert line.startswith("trainer.num_nodes: 2 machines meet at the first one's address, and no MASTER_ADDR is set")

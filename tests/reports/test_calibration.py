"""A fit begins with layers that fire, and goes on from a checkpoint with the weights it had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer

from litspike import LIF, ConstantCurrent, MeanOverTime, Perceptron, SettingError
from litspike.callbacks import Calibration
from litspike.data import HalfPlane
from litspike.networks import firing_rates
from litspike.tasks import Classification


def task(hidden: int = 4) -> Classification:
    torch.manual_seed(0)
    return Classification(Perceptron([2, *[24] * hidden, 1], LIF()), ConstantCurrent(8), MeanOverTime())


def trainer(callback: Calibration, folder: Path, **settings: Any) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return Trainer(callbacks=[callback], default_root_dir=folder, **{**quiet, "max_epochs": 1, **settings})


def data() -> HalfPlane:
    return HalfPlane(train_points=100, val_points=10, batch_size=25)


def scales(before: dict[str, Any], after: dict[str, Any]) -> list[float]:
    return [float((after[f"layers.{i}.weight"] / before[f"layers.{i}.weight"]).mean()) for i in range(0, 9, 2)]


def test_every_layer_fires_near_the_target_and_has_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    module = task()
    trainer(Calibration(target_rate=0.2), tmp_path, max_epochs=0, num_sanity_val_steps=0).fit(module, data())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("calibration: ")]
    assert [line.split(": ")[1] for line in lines] == [f"layer {number} (LIF, 24)" for number in (1, 2, 3, 4)]
    source = data()
    source.setup("fit")
    rates = firing_rates(module.network, [module.encoder(x) for x, _ in source.train_dataloader()])
    assert list(rates.values()) == pytest.approx([0.2] * 4, rel=0.1)
    assert f"→ {rates['layers.7']:.4f}, weights × " in lines[3]


def test_a_fit_that_goes_on_from_a_checkpoint_keeps_its_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    first = trainer(Calibration(), tmp_path)
    first.fit(task(), data())
    first.save_checkpoint(tmp_path / "one.ckpt")
    assert "calibration: " in capsys.readouterr().out
    module = task()
    trainer(Calibration(), tmp_path).fit(module, data(), ckpt_path=tmp_path / "one.ckpt")
    assert "calibration: " not in capsys.readouterr().out
    torch.testing.assert_close(module.state_dict(), first.lightning_module.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(("callback", "hidden"), [(Calibration(batches=0), 4), (Calibration(), 2)])
def test_a_shallow_network_and_one_whose_calibration_is_off_are_left_alone(
    callback: Calibration, hidden: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    module = task(hidden)
    trainer(callback, tmp_path, max_epochs=0).fit(module, data())
    torch.testing.assert_close(module.state_dict(), task(hidden).state_dict(), rtol=0, atol=0)
    assert "calibration: " not in capsys.readouterr().out


def test_the_random_state_and_the_order_of_the_data_are_what_they_would_be_without(tmp_path: Path):
    seen: dict[int, list[torch.Tensor]] = {}

    class Watching(Classification):
        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            seen[batches].extend([batch[0], torch.rand(1)])
            return super().training_step(batch, batch_idx)

    dataset = torch.utils.data.TensorDataset(torch.randn(40, 2), torch.ones(40))
    for batches in (0, 3):
        seen[batches] = []
        loader = torch.utils.data.DataLoader(dataset, batch_size=10, shuffle=True)
        torch.manual_seed(1)
        module = Watching(Perceptron([2, 8, 8, 8, 1], LIF()), ConstantCurrent(4), MeanOverTime())
        trainer(Calibration(batches=batches), tmp_path).fit(module, loader)
    assert len(seen[0]) == 8
    assert all(torch.equal(one, other) for one, other in zip(seen[0], seen[3], strict=True))


def test_a_module_without_encoder_and_network_is_left_alone_with_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    class Other(LightningModule):
        trained = False

        def training_step(self, batch: Any, batch_idx: int) -> None:
            self.trained = True

        def configure_optimizers(self) -> None:
            return None

    module = Other()
    trainer(Calibration(), tmp_path).fit(module, data())
    assert module.trained
    assert capsys.readouterr().out == "calibration: Other has no encoder and network and is left alone\n"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_rate": 0.0}, r"target_rate: 0.0 is outside \(0, 1\)"),
        ({"batches": -1}, "batches: -1 is less than 0"),
        ({"min_layers": 0}, "min_layers: 0 is less than 1"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(SettingError, match=message):
        Calibration(**settings)

"""The user's own arrays: read as they are, split as asked, standardised by training alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer

from litspike import SettingError, UserError
from litspike.data import Arrays

PARTS = ("train", "val", "test")


def numbered(samples: int, features: int = 2, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Features that number the samples, so that each can be told in any part, and labels."""
    return np.arange(samples * features, dtype=float).reshape(samples, features), np.arange(samples) % classes


def save(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


def write(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def part(data: Arrays, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    return data.dataset(name).tensors


def test_each_sample_is_in_one_part_with_its_label(tmp_path: Path):
    x, y = numbered(200)
    data = Arrays(save(tmp_path / "a.npz", x=x, y=y), standardize=False)
    parts = [part(data, name) for name in PARTS]
    assert [len(labels) for _, labels in parts] == [144, 26, 30]
    found = torch.cat([torch.cat([samples, labels[:, None]], 1) for samples, labels in parts])
    assert torch.equal(found[found[:, 0].argsort()], torch.tensor(np.column_stack([x, y])).float())
    for _, labels in parts:
        counts = torch.bincount(labels)
        assert counts.max() - counts.min() <= 2


def test_the_seed_chooses_validation_and_leaves_the_test_part_alone(tmp_path: Path):
    path = save(tmp_path / "a.npz", **dict(zip("xy", numbered(100), strict=True)))
    first, again, other = (Arrays(path, seed=seed, standardize=False) for seed in (0, 0, 1))
    assert torch.equal(part(first, "test")[0], part(other, "test")[0])
    assert torch.equal(part(first, "val")[0], part(again, "val")[0])
    assert not torch.equal(part(first, "val")[0], part(other, "val")[0])


def test_two_classes_are_floats_for_one_logit_and_more_are_class_numbers(tmp_path: Path):
    for classes, dtype in ((2, torch.float32), (3, torch.int64)):
        x, y = numbered(60, classes=classes)
        batch = next(iter(Arrays(save(tmp_path / f"{classes}.npz", x=x, y=y)).train_dataloader()))
        assert batch[0].dtype == torch.float32
        assert batch[1].dtype == dtype
        assert batch[1].shape == (32,)


@pytest.mark.parametrize(("shape", "expected"), [((40,), (1,)), ((40, 2), (2,)), ((40, 5, 2), (5, 2))])
def test_targets_of_regression_keep_their_values_and_shape(
    tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]
):
    y = np.random.default_rng(0).normal(size=shape)
    path = save(tmp_path / "a.npz", train_x=np.zeros((40, 5, 3)), train_y=y, test_x=np.zeros((40, 5, 3)), test_y=y)
    targets = part(Arrays(path, task="regression"), "test")[1]
    assert targets.shape == (40, *expected)
    assert torch.equal(targets, torch.tensor(y.reshape(40, *expected)).float())


@pytest.mark.parametrize("shape", [(300, 4), (300, 7, 4)])
def test_features_are_standardised_by_the_training_part_alone(tmp_path: Path, shape: tuple[int, ...]):
    x = np.random.default_rng(0).normal(size=shape) * [1, 10, 1e-6, 0] + [0, 5, 1.7e9, 3]
    x[..., 2] = np.round(x[..., 2] - 1.7e9 + np.random.default_rng(1).normal(size=shape[:-1])) + 1.7e9
    path = save(
        tmp_path / "a.npz", train_x=x[:200], train_y=np.arange(200) % 3, test_x=x[200:] * 2, test_y=np.arange(100) % 3
    )
    data = Arrays(path)
    train, val, test = (part(data, name)[0] for name in PARTS)
    axes = tuple(range(len(shape) - 1))
    assert train.mean(axes).abs().max() < 1e-5
    assert torch.allclose(train.std(axes, correction=0)[:3], torch.ones(3), atol=1e-4)
    assert (train[..., 3] == 0).all(), "a constant feature becomes 0"
    assert val.mean(axes).abs().max() > 1e-4
    raw = Arrays(path, standardize=False)
    raw_train, raw_test = part(raw, "train")[0].double(), part(raw, "test")[0].double()
    mean, std = raw_train.mean(axes), raw_train.std(axes, correction=0)
    assert torch.allclose(test[..., :2], ((raw_test - mean) / std)[..., :2].float(), atol=1e-4)


class Mean(LightningModule):
    """The smallest model that can be fitted, and keeps what it is tested on."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[torch.Tensor] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return (batch[0].mean() - self.bias).square().mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        pass

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.seen.append(batch[0])

    def predict_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return batch[0]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def quiet(folder: Path, **settings: Any) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )


def test_the_statistics_travel_in_the_checkpoint_and_need_no_training_file(tmp_path: Path):
    x, y = numbered(60)
    path, checkpoint = save(tmp_path / "a.npz", x=x, y=y), tmp_path / "a.ckpt"
    trainer = quiet(tmp_path, max_epochs=1, limit_val_batches=0, enable_checkpointing=False)
    trained = Arrays(path, seed=3)
    trainer.fit(Mean(), datamodule=trained)
    trainer.save_checkpoint(checkpoint)
    raw = part(Arrays(path, seed=3, standardize=False), "train")[0].double()
    new = save(tmp_path / "new.npz", x=np.array([[1.0, 2.0], [5.0, -3.0]]), y=np.array([2, 1]))
    (tmp_path / "a.npz").unlink()
    model = Mean()
    trainer = quiet(tmp_path)
    trainer.test(model, Arrays(path, test_path=new), ckpt_path=checkpoint, weights_only=True, verbose=False)
    expected = (torch.tensor([[1.0, 2.0], [5.0, -3.0]]).double() - raw.mean(0)) / raw.std(0, correction=0)
    assert torch.allclose(model.seen[0], expected.float())
    predicted = trainer.predict(model, Arrays(path, test_path=new), ckpt_path=checkpoint, weights_only=True)
    assert torch.allclose(predicted[0], expected.float())


def test_statistics_of_a_checkpoint_replace_those_of_the_file(tmp_path: Path):
    path = save(tmp_path / "a.npz", **dict(zip("xy", numbered(60), strict=True)))
    data = Arrays(path)
    data.setup("fit")
    state = {**data.state_dict(), "mean": torch.tensor([100.0, 0.0]), "std": torch.tensor([2.0, 1.0])}
    raw = part(Arrays(path, standardize=False), "train")[0]
    data.load_state_dict(state)
    assert torch.allclose(part(data, "train")[0], (raw - torch.tensor([100.0, 0.0])) / torch.tensor([2.0, 1.0]))


def test_parts_of_the_user_are_kept_and_a_missing_one_is_carved_from_training(tmp_path: Path):
    x, y = numbered(60)
    path = save(tmp_path / "a.npz", train_x=x[:50], train_y=y[:50], test_x=x[50:], test_y=y[50:])
    data = Arrays(path, standardize=False)
    assert torch.equal(part(data, "test")[0], torch.tensor(x[50:]).float())
    rest = torch.cat([part(data, "train")[0], part(data, "val")[0]])
    assert len(part(data, "val")[0]) == 8
    assert torch.equal(rest[rest[:, 0].argsort()], torch.tensor(x[:50]).float())


def test_a_csv_file_gives_the_samples_of_the_same_npz_file(tmp_path: Path):
    x, y = numbered(40, features=6)
    table = write(
        tmp_path / "a.csv",
        "a,b,class,c,d,id,e,f",
        *(
            ",".join(map(str, [*row[:2], label, *row[2:4], f'"x{i}"', *row[4:]]))
            for i, (row, label) in enumerate(zip(x, y, strict=True))
        ),
        "",
    )
    ours = Arrays(table, label="class", ignore=["id"], steps=3)
    same = Arrays(save(tmp_path / "a.npz", x=x.reshape(40, 3, 2), y=y))
    for name in PARTS:
        assert part(ours, name)[0].shape[1:] == (3, 2)
        assert all(torch.equal(a, b) for a, b in zip(part(ours, name), part(same, name), strict=True))


def test_a_split_column_says_which_row_is_in_which_part(tmp_path: Path):
    rows = [f"{i},{i % 2},{('train', 'train', 'val', 'test')[i // 2 % 4]}" for i in range(24)]
    data = Arrays(write(tmp_path / "a.csv", "a,label,part", *rows), split="part", standardize=False)
    assert part(data, "val")[0].flatten().tolist() == [4, 5, 12, 13, 20, 21]
    assert part(data, "test")[0].flatten().tolist() == [6, 7, 14, 15, 22, 23]
    assert part(data, "train")[1].tolist() == [0, 1] * 6


def test_several_target_columns_make_one_target_vector(tmp_path: Path):
    table = write(tmp_path / "a.csv", "u,a,v", *(f"{i},{2 * i},{-i}" for i in range(20)))
    x, y = part(Arrays(table, task="regression", label=["v", "u"], standardize=False), "train")
    assert torch.equal(y, torch.cat([-x / 2, x / 2], 1))


def test_files_of_their_own_are_validation_and_test(tmp_path: Path):
    train, val, test = (
        write(tmp_path / f"{name}.csv", "a,label", *(f"{i + start},{i % 2}" for i in range(10)))
        for name, start in (("train", 0), ("val", 100), ("test", 200))
    )
    data = Arrays(train, val_path=val, test_path=test, standardize=False)
    for name, start in (("test", 200), ("train", 0), ("val", 100)):
        assert part(data, name)[0].flatten().tolist() == [start + i for i in range(10)]


def test_a_part_with_other_features_than_training_is_refused(tmp_path: Path):
    train = write(tmp_path / "train.csv", "a,b,label", *(f"{i},1,{i % 2}" for i in range(20)))
    swapped = write(tmp_path / "swapped.csv", "b,a,label", "1,2,0", "1,3,1")
    fewer = write(tmp_path / "fewer.csv", "a,label", "1,0", "2,1")
    with pytest.raises(UserError, match=r"swapped\.csv has the feature 'b' where the training part has 'a'"):
        part(Arrays(train, test_path=swapped), "test")
    with pytest.raises(UserError, match=r"fewer\.csv has 1 features, but the training part has 2"):
        part(Arrays(train, test_path=fewer), "test")


def test_a_class_that_training_does_not_have_is_refused_in_another_part(tmp_path: Path):
    train = write(tmp_path / "train.csv", "a,label", *(f"{i},{i % 2}" for i in range(20)))
    test = write(tmp_path / "test.csv", "a,label", "1,0", "1,2")
    with pytest.raises(UserError, match=r"test\.csv, line 3: the label 2 is not a class from 0 to 1"):
        part(Arrays(train, test_path=test), "test")


def test_a_parquet_file_gives_the_samples_of_the_same_csv_file(tmp_path: Path):
    pandas = pytest.importorskip("pandas", reason="pandas, of litspike[data], is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow, of litspike[data], is not installed")
    x, y = numbered(40)
    frame = pandas.DataFrame({"a": x[:, 0].astype("int32"), "label": y, "b": x[:, 1].astype("float32")})
    frame["b"] = frame["b"].astype("Float32")
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv", index=False)
    for name in PARTS:
        first, second = (part(Arrays(str(tmp_path / f"a.{kind}")), name) for kind in ("parquet", "csv"))
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "a.txt"}, r"path: 'a.txt' is none of \.npz, \.csv, \.npy, \.parquet, \.ts"),
        ({"test_path": "b"}, "test_path: 'b' is none of"),
        ({"task": "ranking"}, "task: 'ranking' is none of classification, regression"),
        ({"label": ["a", "b"]}, r"label: \['a', 'b'\] must be one column"),
        ({"label": []}, "label"),
        ({"val_fraction": 1.0}, "val_fraction: 1.0 is outside"),
        ({"test_fraction": 0}, "test_fraction: 0 is outside"),
        ({"steps": 0}, "steps: 0 is less than 1"),
    ],
)
def test_settings_outside_their_range_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(SettingError, match=message):
        Arrays(**{"path": "a.csv", **settings})

"""The digits: scikit-learn's, in three layouts, with a test part that no seed changes."""

from __future__ import annotations

import re
import sys

import pytest
import torch

from litspike import SettingError, UserError
from litspike.data import Digits, Distortion
from litspike.installation import installing


def rows(x: torch.Tensor) -> set[tuple[float, ...]]:
    return {tuple(row) for row in x.flatten(1).tolist()}


def test_without_scikit_learn_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "sklearn.datasets", raising=False)
    with pytest.raises(UserError, match=rf"^Digits needs scikit-learn: {re.escape(installing('data'))}$"):
        Digits().setup("fit")


@pytest.mark.parametrize("settings", [{"layout": "cube"}, {"val_fraction": 0}, {"val_fraction": 1.0}])
def test_settings_outside_their_range_are_refused(settings: dict[str, object]):
    with pytest.raises(SettingError, match=next(iter(settings))):
        Digits(**settings)  # type: ignore[arg-type]


class TestWithScikitLearn:
    @pytest.fixture(autouse=True)
    def _needs_scikit_learn(self):
        pytest.importorskip("sklearn", reason="scikit-learn, of litspike[data], is not installed")

    def test_each_digit_is_in_one_part_and_as_it_was(self):
        from sklearn.datasets import load_digits

        tensors = [Digits().dataset(part).tensors for part in ("train", "val", "test")]
        assert [len(y) for _, y in tensors] == [1294, 144, 359]
        found = sorted(
            (*row, label) for x, y in tensors for row, label in zip(rows_in_order(x), y.tolist(), strict=True)
        )
        truth = load_digits()
        expected = sorted((*row, label) for row, label in zip((truth.data / 16).tolist(), truth.target, strict=True))
        assert found == expected

    def test_the_test_part_is_fixed_and_the_seed_chooses_validation(self):
        first, second = Digits(seed=0), Digits(seed=1)
        assert torch.equal(first.dataset("test").tensors[0], second.dataset("test").tensors[0])
        assert rows(first.dataset("val").tensors[0]) != rows(second.dataset("val").tensors[0])
        again = Digits(seed=0).dataset("val").tensors[0]
        assert torch.equal(first.dataset("val").tensors[0], again)

    def test_each_part_has_each_digit_in_its_share(self):
        for part, size in (("val", 144), ("test", 359)):
            counts = torch.bincount(Digits().dataset(part).tensors[1], minlength=10)
            assert (counts - size / 10).abs().max() < 2.5

    def test_the_layouts_hold_the_same_pixels_in_reading_order(self):
        layouts = ("image", "flat", "sequence")
        image, flat, sequence = (next(iter(Digits(layout=layout).test_dataloader()))[0] for layout in layouts)
        assert image.shape == (359, 1, 8, 8)
        assert flat.shape == (359, 64)
        assert sequence.shape == (359, 64, 1)
        assert torch.equal(image[:, 0, 2, 5], sequence[:, 21, 0])
        assert torch.equal(image.flatten(1), flat)
        assert image.min() == 0
        assert image.max() == 1
        assert image.dtype == torch.float32

    def test_training_images_are_distorted_anew_in_every_epoch_and_the_others_never(self):
        plain, distorted = Digits(), Digits(distortion=Distortion(10.0, 0.1, 0.5))
        loaders = plain.train_dataloader(), distorted.train_dataloader()
        epochs = []
        for epoch in (0, 1, 0):
            for loader in loaders:
                loader.set_epoch(epoch)
            before, after = (torch.cat([x for x, _ in loader]).flatten(1) for loader in loaders)
            assert 0.02 < (after - before).abs().mean() < 0.2
            epochs.append(sorted(zip(before.tolist(), after.tolist(), strict=True)))
        assert epochs[0] == epochs[2]
        assert epochs[0] != epochs[1]
        for part in ("val", "test"):
            loaders = plain, distorted
            images = (torch.cat([x for x, _ in getattr(data, f"{part}_dataloader")()]) for data in loaders)
            assert torch.equal(*images)

    def test_a_distortion_is_the_same_in_every_layout(self):
        loaders = (
            Digits(layout=layout, distortion=Distortion(shift=1.0)).train_dataloader()
            for layout in ("image", "flat", "sequence")
        )
        image, flat, sequence = (next(iter(loader))[0] for loader in loaders)
        assert torch.equal(image.flatten(1), flat)
        assert torch.equal(image.flatten(1), sequence.flatten(1))


def rows_in_order(x: torch.Tensor) -> list[list[float]]:
    return x.flatten(1).tolist()

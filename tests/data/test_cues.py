"""Delayed XOR and store–recall ask what they say they ask, and answer it right."""

from __future__ import annotations

import pytest
import torch

from litspike import SettingError
from litspike.data import DelayedXOR, StoreRecall
from litspike.data.drawn import population
from litspike.seeding import generator


def test_a_population_spikes_at_its_rate_while_its_channel_is_on():
    signals = torch.zeros(500, 40, 2, dtype=torch.bool)
    signals[:, 10:20, 0] = True
    spikes = population(signals, 4, 0.3, generator(0)).float()
    assert spikes.shape == (500, 40, 8)
    assert abs(spikes[:, 10:20, :4].mean() - 0.3) < 0.01
    assert spikes.sum() == spikes[:, 10:20, :4].sum()
    assert torch.equal(population(signals, 4, 1.0, generator(0)), signals.repeat_interleave(4, 2).to(torch.uint8))


def xor_oracle(sample: torch.Tensor) -> tuple[int, int, int]:
    """First cue, second cue and steps between them, read step by step from a sample [T, 3] without noise."""
    cues, ends, starts = [], [], []
    before = (0, 0)
    for t, (zero, one, go) in enumerate(sample.int().tolist()):
        assert zero + one + go <= 1
        if (zero, one) != before:
            if before != (0, 0):
                ends.append(t)
            if (zero, one) != (0, 0):
                cues.append(one)
                starts.append(t)
        before = (zero, one)
        assert not go or len(ends) == 2, "go came before both cues were over"
    return cues[0], cues[1], starts[1] - ends[0]


def test_the_label_is_the_exclusive_or_of_both_cues():
    data = DelayedXOR(units=1, rate=1.0, min_delay=3, max_delay=9, val_samples=200)
    x, y = next(iter(data.val_dataloader()))
    assert x.shape == (200, 34, 3)
    assert x.dtype == y.dtype == torch.float32
    read = [xor_oracle(sample) for sample in x]
    assert y.tolist() == [a != b for a, b, _ in read]
    assert {delay for *_, delay in read} == set(range(3, 10))
    assert x[:, -10:, 2].all()
    assert not x[:, :-10, 2].any()


def test_neither_cue_alone_nor_the_number_of_spikes_tells_the_label():
    data = DelayedXOR(units=1, rate=1.0, min_delay=1, train_samples=400)
    x, y = data.dataset("train").tensors
    cues = torch.tensor([xor_oracle(sample)[:2] for sample in x])
    pairs = torch.bincount(2 * cues[:, 0] + cues[:, 1], minlength=4)
    assert pairs.tolist() == [100] * 4
    for cue in range(2):
        for value in range(2):
            assert y[cues[:, cue] == value].mean() == 0.5
    assert torch.unique(x.sum((1, 2))).numel() == 1


def recall_oracle(sample: torch.Tensor, symbol_steps: int) -> tuple[int, list[int], int]:
    """The kept value, the symbols of the store commands and that of the recall, by an automaton."""
    kept, stores, recall = None, [], None
    for symbol, start in enumerate(range(0, len(sample), symbol_steps)):
        steps = sample[start : start + symbol_steps].int()
        assert (steps == steps[0]).all(), "a symbol changes while it is shown"
        zero, one, store, now = steps[0].tolist()
        if now:
            assert (zero, one, store) == (0, 0, 0)
            assert recall is None
            recall = symbol
        else:
            assert zero + one == 1
        if store:
            kept = one
            stores.append(symbol)
    assert kept is not None
    assert recall is not None
    return kept, stores, recall


@pytest.mark.parametrize("stores", [1, 3])
def test_the_label_is_the_value_at_the_last_store_command(stores: int):
    data = StoreRecall(symbols=8, symbol_steps=4, stores=stores, units=1, rate=1.0, val_samples=300)
    x, y = next(iter(data.val_dataloader()))
    assert x.shape == (300, 36, 4)
    assert x.dtype == y.dtype == torch.float32
    read = [recall_oracle(sample, 4) for sample in x]
    assert y.tolist() == [kept for kept, *_ in read]
    assert all(len(places) == stores and recall == 8 for _, places, recall in read)
    assert {places[-1] for _, places, _ in read} == set(range(stores - 1, 6)), "recall stands two symbols later or more"


def test_no_other_value_of_the_stream_tells_the_label():
    x, y = StoreRecall(units=1, rate=1.0, symbol_steps=1, train_samples=8000).dataset("train").tensors
    values, stored = x[:, :-1, 1].float(), x[:, :-1, 2].bool()
    assert abs(y.mean() - 0.5) < 0.02
    for symbol in range(10):
        other = ~stored[:, symbol]
        agreement = (values[other, symbol] == y[other]).float().mean()
        assert abs(agreement - 0.5) < 0.03


@pytest.mark.parametrize("kind", [DelayedXOR, StoreRecall])
def test_parts_and_seeds_are_draws_of_their_own(kind: type[DelayedXOR] | type[StoreRecall]):
    def part(seed: int, name: str) -> torch.Tensor:
        return kind(train_samples=50, val_samples=50, seed=seed).dataset(name).tensors[0]

    assert torch.equal(part(1, "train"), part(1, "train"))
    assert not torch.equal(part(1, "train"), part(1, "val"))
    assert not torch.equal(part(1, "train"), part(2, "train"))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (DelayedXOR, {"min_delay": 30}, "max_delay: 25 is less than min_delay 30"),
        (DelayedXOR, {"rate": 0.0}, "rate: 0.0 is outside"),
        (DelayedXOR, {"cue_steps": 0}, "cue_steps"),
        (StoreRecall, {"stores": 9}, r"symbols: 10 is less than stores \+ min_delay = 11"),
        (StoreRecall, {"rate": 1.5}, "rate: 1.5 is outside"),
        (StoreRecall, {"train_samples": 0}, "train_samples: 0 is less than 1"),
    ],
)
def test_settings_outside_their_range_are_refused(kind: type, settings: dict[str, object], message: str):
    with pytest.raises(SettingError, match=message):
        kind(**settings)

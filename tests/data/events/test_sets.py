"""The five data sets, from files in their true format to batches."""

from __future__ import annotations

import pickle
import re
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from litspike import SettingError, UserError
from litspike.data import CIFAR10DVS, NMNIST, SHD, DVSGesture, EventDataModule
from litspike.installation import installing
from tests.data.events.miniatures import CASES, Case, Recording, pack

pytest.importorskip("tonic", reason="event data need Tonic: pip install 'litspike[events]'")
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:.*published are")]
each_set = pytest.mark.parametrize("case", CASES, ids=lambda case: case.module.__name__)
PARTS = ("train", "val", "test")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def counted(recording: Recording, case: Case, steps: int, width: float | None, downsample: int) -> np.ndarray:
    """The counts of a recording: NumPy's own histogram, with edges between the integers."""
    time = recording.events[:, 0]
    if case.module in (DVSGesture, CIFAR10DVS):
        time = time - time[0]
    edges = np.arange(steps + 1) * (1000 * width if width else (time[-1] + 1) / steps)
    space = [np.arange(0, size + downsample, downsample) for size in case.shape[-2:]]
    axes = [edges, *([np.arange(3)] if len(case.shape) == 3 else []), *space]
    x, _ = np.histogramdd(np.column_stack([time, recording.events[:, 1:]]), [axis - 0.5 for axis in axes])
    return x


def everything(data: EventDataModule) -> list[tuple[np.ndarray, int, str]]:
    """All samples of all parts, with their classes and parts."""
    samples = []
    for part in PARTS:
        dataset = data.dataset(part)
        samples += [(x.numpy(), int(y), part) for x, y in (dataset[i] for i in range(len(dataset)))]
    return samples


def sort(samples: list[tuple[np.ndarray, int]]) -> list[tuple[bytes, int]]:
    return sorted((x.astype(np.float32).tobytes(), y) for x, y in samples)


@each_set
@pytest.mark.parametrize(("width", "downsample"), [(None, 1), (None, 3), (50.0, 2), (12.5, 4)])
def test_samples_count_the_events_as_a_histogram_does(case: Case, width: float | None, downsample: int, tmp_path: Path):
    made = case.make(tmp_path)
    data = case(tmp_path, steps=8, bin=width, downsample=downsample)
    samples = everything(data)
    expected = [(counted(r, case, 8, width, downsample), r.label) for split in made.values() for r in split]
    assert samples[0][0].shape == data.shape == expected[0][0].shape
    assert sort([(x, y) for x, y, _ in samples]) == sort(expected)
    if width is None:
        assert sum(x.sum() for x, _, _ in samples) == sum(len(r.events) for split in made.values() for r in split)


@each_set
def test_archives_as_published_are_unpacked_once(case: Case, tmp_path: Path):
    case.make(tmp_path / "plain")
    shutil.copytree(tmp_path / "plain", tmp_path / "packed")
    pack(tmp_path / "packed", case.module.__name__)
    plain, packed, again = (everything(case(tmp_path / name, steps=2)) for name in ("plain", "packed", "packed"))
    assert sort([s[:2] for s in plain]) == sort([s[:2] for s in packed]) == sort([s[:2] for s in again])
    assert not list((tmp_path / "packed").rglob("*.unpacking"))


@each_set
def test_missing_data_get_one_line_that_says_what_goes_where(case: Case, tmp_path: Path):
    with pytest.raises(UserError, match=case.needs) as raised:
        case(tmp_path).setup("fit")
    assert "\n" not in str(raised.value)
    assert str(tmp_path / case.module.__name__) in str(raised.value)


@each_set
def test_an_archive_that_was_cut_short_gets_one_line(case: Case, tmp_path: Path):
    case.make(tmp_path)
    pack(tmp_path, case.module.__name__)
    for archive in (tmp_path / case.module.__name__).iterdir():
        archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(UserError, match="is not a whole archive"):
        case(tmp_path).setup("fit")


@each_set
def test_parts_share_no_recording_and_leave_none_out(case: Case, tmp_path: Path):
    made = case.make(tmp_path)
    data = case(tmp_path)
    chosen: dict[str, list[int]] = {split: [] for split in made}
    for part in PARTS:
        chosen[case.splits[part]] += data.dataset(part).chosen.tolist()
    assert {split: sorted(numbers) for split, numbers in chosen.items()} == {
        split: list(range(len(recordings))) for split, recordings in made.items()
    }


@pytest.mark.parametrize(("case", "held"), [(CASES[1], {10, 11}), (CASES[3], {21, 22, 23})])
def test_validation_holds_out_whole_people(case: Case, held: set[int], tmp_path: Path):
    people = np.array([r.person for r in case.make(tmp_path)["train"]])
    data = case(tmp_path)
    assert set(people[data.dataset("val").chosen].tolist()) == held
    assert held.isdisjoint(people[data.dataset("train").chosen].tolist())


@pytest.mark.parametrize("wrong", [[], [10, 99], [0, 3, 6, 10, 11]])
def test_nobody_everybody_and_unknown_people_are_refused_for_validation(wrong: list[int], tmp_path: Path):
    CASES[1].make(tmp_path)
    with pytest.raises(SettingError, match=r"val_speakers: .* must name some, not all, of \[0, 3, 6, 10, 11\]"):
        SHD(str(tmp_path), None, val_speakers=wrong).setup("fit")


def test_validation_of_nmnist_is_stratified_and_says_its_seed(tmp_path: Path):
    CASES[0].make(tmp_path)
    parts = [NMNIST(str(tmp_path), None, split_seed=seed).dataset("val") for seed in (0, 0, 1)]
    for part in parts:
        assert part.labels[part.chosen].tolist() == list(range(10))
    assert parts[0].chosen.tolist() == parts[1].chosen.tolist() != parts[2].chosen.tolist()


def test_the_last_tenth_of_each_class_by_number_is_for_testing(tmp_path: Path):
    CASES[4].make(tmp_path)
    data = CIFAR10DVS(str(tmp_path), None)
    names = [Path(data._split("all")[0].name(int(i))).name for i in data.dataset("test").chosen]
    assert [name.rpartition("_")[2] for name in names] == ["18.aedat4"] * 10
    assert torch.bincount(torch.from_numpy(data.dataset("val").labels[data.dataset("val").chosen])).tolist() == [1] * 10


def test_a_miniature_is_told_from_the_published_set(tmp_path: Path):
    CASES[0].make(tmp_path)
    with pytest.warns(UserWarning, match="test has 40 recordings; published are 10000"):
        NMNIST(str(tmp_path), None).setup("test")


def test_a_recording_that_cannot_be_read_is_named(tmp_path: Path):
    CASES[3].make(tmp_path)
    (tmp_path / "DVSGesture/ibmGestureTest/user24_fluorescent/2.npy").write_bytes(b"no array")
    with pytest.raises(UserError, match=r"user24_fluorescent/2\.npy can't be read: ") as raised:
        DVSGesture(str(tmp_path), str(tmp_path / "cache")).setup("test")
    assert "\n" not in str(raised.value)


def recording_files(root: Path) -> list[Path]:
    """All files of a miniature that hold recordings, the first of the training part first."""
    kinds = ("*.bin", "*.h5", "*.npy", "*.aedat4")
    return sorted((path for kind in kinds for path in root.rglob(kind)), key=lambda path: "rain" not in str(path))


@each_set
def test_an_empty_file_gets_one_line(case: Case, tmp_path: Path):
    case.make(tmp_path)
    broken = recording_files(tmp_path)[0]
    broken.write_bytes(b"")
    with pytest.raises(UserError) as raised:
        case(tmp_path, cache=str(tmp_path / "cache")).setup("fit")
    assert str(raised.value) == f"{broken} is empty: copy it again"


@pytest.mark.parametrize("case", CASES[1:], ids=lambda case: case.module.__name__)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.97])
def test_a_file_that_was_cut_short_gets_one_line(case: Case, kept: float, tmp_path: Path):
    case.make(tmp_path)
    broken = recording_files(tmp_path)[0]
    broken.write_bytes(broken.read_bytes()[: int(kept * broken.stat().st_size)])
    with pytest.raises(UserError, match="can't be read") as raised:
        case(tmp_path, cache=str(tmp_path / "cache")).setup("fit")
    assert "\n" not in str(raised.value)
    assert broken.name in str(raised.value) or case.module.__name__ in str(raised.value)


def test_an_event_outside_the_sensor_is_named_with_its_file(tmp_path: Path):
    CASES[0].make(tmp_path)
    (tmp_path / "NMNIST/Test/3/00007.bin").write_bytes(bytes([34, 0, 0, 0, 0]))
    with pytest.raises(UserError, match=r"3/00007\.bin: .*34.* outside the sensor's 0 to 33"):
        NMNIST(str(tmp_path), str(tmp_path / "cache")).setup("test")


def test_without_tonic_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    CASES[0].make(tmp_path)
    monkeypatch.setitem(sys.modules, "tonic.datasets", None)
    with pytest.raises(UserError, match=rf"event data need Tonic .*{re.escape(installing('events'))}"):
        NMNIST(str(tmp_path), None).setup("fit")


@each_set
@pytest.mark.parametrize("cached", [True, False])
def test_parts_travel_to_processes_that_share_no_memory(case: Case, cached: bool, tmp_path: Path):
    case.make(tmp_path)
    part = case(tmp_path, cache=str(tmp_path / "cache") if cached else None).dataset("train")
    assert torch.equal(pickle.loads(pickle.dumps(part))[3][0], part[3][0])


def cache_files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.cells")}


def test_the_cache_is_named_by_all_that_its_cells_depend_on(tmp_path: Path):
    CASES[0].make(tmp_path)

    def added(**settings: object) -> int:
        before = cache_files(tmp_path / "cache")
        NMNIST(str(tmp_path), str(tmp_path / "cache"), **settings).setup("fit")  # type: ignore[arg-type]
        return len(cache_files(tmp_path / "cache") - before)

    assert added() == 1
    assert added(clip=1, batch_size=3, seed=4, workers=1, split_seed=2, val_fraction=0.3) == 0
    assert [added(steps=7), added(bin=None), added(bin=3.0), added(downsample=2)] == [1, 1, 1, 1]
    file = tmp_path / "NMNIST/Train/0/00000.bin"
    file.write_bytes(file.read_bytes()[:-5])
    assert added() == 1


def test_samples_from_the_cache_are_those_read_anew(tmp_path: Path):
    CASES[1].make(tmp_path)
    anew, written, cached = (everything(SHD(str(tmp_path), cache)) for cache in (None, *[str(tmp_path / "c")] * 2))
    for a, b, c in zip(anew, written, cached, strict=True):
        assert np.array_equal(a[0], b[0])
        assert np.array_equal(a[0], c[0])
        assert a[1:] == b[1:] == c[1:]


@pytest.mark.parametrize("cached", [True, False])
def test_batches_are_the_same_for_each_number_of_workers(cached: bool, tmp_path: Path):
    CASES[0].make(tmp_path)
    cache = str(tmp_path / "cache") if cached else None
    loaders = [NMNIST(str(tmp_path), cache, batch_size=7, workers=workers).train_dataloader() for workers in (0, 2)]
    for epoch in (0, 3):
        for loader in loaders:
            loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        batches = [list(loader) for loader in loaders]
        assert len(batches[0]) == len(batches[1]) == len(loaders[0]) == 5
        for (x0, y0), (x1, y1) in zip(*batches, strict=True):
            assert (x0.dtype, y0.dtype) == (torch.float32, torch.int64)
            assert torch.equal(x0, x1)
            assert torch.equal(y0, y1)

"""Miniatures of the five data sets, written byte for byte in the format of the real files."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from litspike.data import CIFAR10DVS, NMNIST, SHD, SSC, DVSGesture, EventDataModule


@dataclass
class Recording:
    """What a miniature holds: label, who made it, and events as columns time (µs), then one for each dimension."""

    label: int
    person: int
    events: np.ndarray


def draw(rng: np.random.Generator, shape: tuple[int, ...], label: int, person: int, unit: int, last: int) -> Recording:
    """20 to 60 events in random pixels, at multiples of ``unit`` µs from 0 to below ``last`` µs, in order of time."""
    number = int(rng.integers(20, 60))
    time = np.sort(rng.integers(0, last // unit, number)) * unit
    return Recording(label, person, np.stack([time, *(rng.integers(0, size, number) for size in shape)], 1))


def nmnist(root: Path, split: str, rng: np.random.Generator) -> list[Recording]:
    """Five bytes an event: x, y, and one bit of polarity over 23 bits of µs, in a folder for each digit."""
    recordings = []
    for digit in range(10):
        folder = root / "NMNIST" / split.capitalize() / str(digit)
        folder.mkdir(parents=True)
        for number in range(4):
            recording = draw(rng, (2, 34, 34), digit, 0, 1, 400_000)
            content = bytearray()
            for t, p, y, x in recording.events.tolist():
                content += bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255])
            (folder / f"{number * 7:05d}.bin").write_bytes(content)
            recordings.append(recording)
    return recordings


def heidelberg(kind: str, classes: int, speakers: Iterable[int]) -> Callable[..., list[Recording]]:
    """HDF5: ragged float16 seconds and uint16 units, labels, and the speakers among the extras."""

    def write(root: Path, split: str, rng: np.random.Generator) -> list[Recording]:
        import h5py

        recordings = []
        file = root / kind / f"{kind.lower()}_{split}.h5"
        file.parent.mkdir(parents=True, exist_ok=True)
        for speaker in speakers:
            for _ in range(3):
                recording = draw(rng, (700,), int(rng.integers(classes)), speaker, 1, 1_200_000)
                seconds = (recording.events[:, 0] / 1e6).astype(np.float16)
                recording.events[:, 0] = (seconds.astype(np.float64) * 1e6).astype(np.int64)
                recordings.append(recording)
        with h5py.File(file, "w") as content:
            for name, kind_, column, scale in (("times", np.float16, 0, 1e-6), ("units", np.uint16, 1, 1)):
                ragged = content.create_dataset(f"spikes/{name}", (len(recordings),), h5py.vlen_dtype(kind_))
                for i, recording in enumerate(recordings):
                    ragged[i] = (recording.events[:, column] * scale).astype(kind_)
            content["labels"] = np.array([r.label for r in recordings], np.uint16)
            content["extra/speaker"] = np.array([r.person for r in recordings], np.uint16)
            content["extra/keys"] = np.array([b"zero"] * classes)
        return recordings

    return write


def gesture(root: Path, split: str, rng: np.random.Generator) -> list[Recording]:
    """Tonic's edition: a folder for each person and light, a file of x, y, p and ms for each gesture."""
    recordings = []
    for person in (1, 2, 21, 22, 23) if split == "train" else (24, 29):
        folder = root / "DVSGesture" / f"ibmGesture{split.capitalize()}" / f"user{person:02d}_fluorescent"
        folder.mkdir(parents=True)
        for label in (2, 10):
            recording = draw(rng, (2, 128, 128), label, person, 1000, 6_000_000)
            t, p, y, x = recording.events.T
            np.save(folder / f"{label}.npy", np.stack([x, y, p, 77 + t // 1000], 1))
            recordings.append(recording)
    return recordings


def cifar(root: Path, split: str, rng: np.random.Generator) -> list[Recording]:
    """Tonic's edition: AEDAT 4 files in a folder for each class."""
    recordings = []
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    for label, name in enumerate(names):
        folder = root / "CIFAR10DVS" / name
        folder.mkdir(parents=True)
        for number in range(0, 20, 2):
            recording = draw(rng, (2, 128, 128), label, 0, 1, 1_300_000)
            content = recording.events + np.array([1_500_000_000_000_000, 0, 0, 0])
            (folder / f"cifar10_{name}_{number}.aedat4").write_bytes(aedat4(content))
            recordings.append(recording)
    return recordings


def aedat4(events: np.ndarray) -> bytes:
    """An AEDAT 4 file of two uncompressed packets: FlatBuffers laid out by hand, as its schema says."""
    size = "".join(f'<attr key="size{axis}" type="int">128</attr>' for axis in "XY")
    identifier = '<attr key="typeIdentifier" type="string">EVTS</attr>'
    description = f'<dv version="2.0"><node name="outInfo"><node name="0">{identifier}<node name="info">{size}'
    text = (description + "</node></node></node></dv>").encode()
    # root, identifier, table of fields (only the third is set), padding, table, text
    header = struct.pack("<I4s5H2xiIII", 20, b"IOHE", 10, 8, 0, 0, 4, 12, 4, 0, len(text))[:28]
    header += struct.pack("<I", len(text)) + text + b"\0"
    content = b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(header)) + header
    for part in np.array_split(events, 2):
        packed = np.zeros(len(part), np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("on", "?"), ("pad", "V3")]))
        packed["t"], packed["on"], packed["y"], packed["x"] = part.T
        table = struct.pack("<I4s3H2xiII", 16, b"EVTS", 6, 8, 4, 8, 4, len(part))
        payload = table + packed.tobytes()
        content += struct.pack("<III", 0, len(payload) + 4, len(payload)) + payload
    return content


def pack(root: Path, kind: str) -> None:
    """Put what a miniature consists of into the archives that are published, and take it away."""
    folder = root / kind
    for item in sorted(folder.iterdir()):
        name = {"Train": "train", "Test": "test"}.get(item.name, item.name)
        form = "gztar" if kind == "DVSGesture" else "zip"
        shutil.make_archive(str(folder / name), form, folder, item.name)
        shutil.rmtree(item) if item.is_dir() else item.unlink()
    if kind == "CIFAR10DVS":
        shutil.make_archive(str(root / kind), "zip", folder)
        shutil.rmtree(folder)
        folder.mkdir()
        (root / "CIFAR10DVS.zip").rename(folder / "CIFAR10DVS.zip")


@dataclass
class Case:
    """A data set, how its miniature is written, its splits and the one of each part."""

    module: type[EventDataModule]
    write: Callable[[Path, str, np.random.Generator], list[Recording]]
    splits: dict[str, str]
    shape: tuple[int, ...]
    needs: str

    def make(self, root: Path, seed: int = 0) -> dict[str, list[Recording]]:
        """Write all splits; give the recordings of each."""
        rng = np.random.default_rng(seed)
        return {split: self.write(root, split, rng) for split in dict.fromkeys(self.splits.values())}

    def __call__(self, root: Path, **settings: Any) -> EventDataModule:
        return self.module(root=str(root), **{"cache": None, **settings})  # type: ignore[arg-type]


OFFICIAL = {"train": "train", "val": "train", "test": "test"}
SPEAKERS = (0, 3, 6, 10, 11)
CASES = [
    Case(NMNIST, nmnist, OFFICIAL, (2, 34, 34), "Train has no recordings: put train.zip"),
    Case(SHD, heidelberg("SHD", 20, SPEAKERS), OFFICIAL, (700,), "shd_train.h5 is missing: put it or shd_train.h5.zip"),
    Case(
        SSC,
        heidelberg("SSC", 35, (0, 1)),
        {"train": "train", "val": "valid", "test": "test"},
        (700,),
        "ssc_train.h5 is missing: put it or ssc_train.h5.zip",
    ),
    Case(DVSGesture, gesture, OFFICIAL, (2, 128, 128), "no recordings: put ibmGestureTrain.tar.gz"),
    Case(
        CIFAR10DVS,
        cifar,
        dict.fromkeys(OFFICIAL, "all"),
        (2, 128, 128),
        "airplane has no recordings: put CIFAR10DVS.zip",
    ),
]

"""Files in NIR, read as data: HDF5 is checked before any of it is loaded, and nothing in it is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from litspike.installation import installing
from litspike.settings import UserError

Array = npt.NDArray[Any]

MOST_NODES = 10_000
"""Nodes and edges that a file may have."""
MOST_BYTES, MOST_TIMES = 256 << 20, 50
"""Bytes that a file's numbers may take, and how many times the file's own beyond that: compression hides any size."""
_SMALL = 1 << 10
"""Numbers that are read before their shape is known to fit."""
_DEEPEST = 8
_LONGEST = 1000  # characters of a name or text
_HEAP, _OBJECT = re.compile(rb"GCOL\x01\0\0\0(.{8})", re.DOTALL), 16  # of HDF5's file format, version 3, III.E
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 32000: "lzf"}  # those that HDF5 and h5py have inside

FIELDS: dict[str, tuple[set[str], set[str]]] = {
    "Input": ({"shape"}, set()),
    "Output": ({"shape"}, set()),
    "NIRGraph": ({"nodes", "edges"}, set()),
    "Linear": ({"weight"}, set()),
    "Affine": ({"weight", "bias"}, set()),
    "Conv1d": ({"weight", "bias", "stride", "padding", "dilation", "groups"}, {"input_shape"}),
    "Conv2d": ({"weight", "bias", "stride", "padding", "dilation", "groups"}, {"input_shape"}),
    "SumPool2d": ({"kernel_size", "stride", "padding"}, set()),
    "AvgPool2d": ({"kernel_size", "stride", "padding"}, set()),
    "Flatten": ({"start_dim", "end_dim"}, {"input_type"}),
    "Scale": ({"scale"}, set()),
    "Threshold": ({"threshold"}, set()),
    "Delay": ({"delay"}, set()),
    "I": ({"r"}, set()),
    "LI": ({"tau", "r", "v_leak"}, set()),
    "IF": ({"r", "v_threshold"}, {"v_reset"}),
    "LIF": ({"tau", "r", "v_leak", "v_threshold"}, {"v_reset"}),
    "CubaLI": ({"tau_syn", "tau_mem", "r", "v_leak"}, {"w_in"}),
    "CubaLIF": ({"tau_syn", "tau_mem", "r", "v_leak", "v_threshold"}, {"v_reset", "w_in"}),
}
"""Kind of node → the fields that it must have, and those that it may have."""
_UNUSED = {"input_type", "output_type"}  # some writers store them beside what they follow from


class FileError(UserError):
    """A file in NIR can't be read: the text names the node and what is wrong with it."""


class Numbers:
    """An array in an open file, which is read each time that NumPy makes an array of it."""

    def __init__(self, dataset: Any) -> None:
        self.dataset, self.shape, self.size, self.ndim = dataset, dataset.shape, dataset.size, dataset.ndim

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        with _one_line():
            values: Array = np.asarray(self.dataset[()], dtype)
        return values

    def __str__(self) -> str:
        return f"{list(self.shape)} of {self.dataset.dtype}"


class Stored(NamedTuple):
    """A node as a file has it."""

    kind: str
    fields: dict[str, Any]
    """Name → :class:`Numbers`, an array where it is small, or a text."""
    nodes: dict[str, Stored]
    """Of a graph."""
    edges: list[tuple[str, str]]
    """Of a graph."""
    metadata: dict[str, Any]


@contextmanager
def opened(path: Path) -> Iterator[Stored]:
    """The graph in a file, whose numbers can be read inside the context.

    Raises:
        FileError: if it is none in NIR, or holds what no such file needs: links to other files, objects, numbers
            beyond its size.
        UserError: if h5py is not installed.
    """
    if not path.is_file():
        raise FileError("it is no file" if path.exists() else "it is not there")
    try:
        import h5py
    except ModuleNotFoundError as missing:
        needs = f"it needs the extra litspike[nir]: {installing('nir')}"
        raise UserError(f"h5py is not installed: {needs}") from missing
    with ExitStack() as stack:
        with _one_line():
            with path.open("rb") as plain, mmap(plain.fileno(), 0, access=ACCESS_READ) as content:
                _check_heaps(content)
            file = stack.enter_context(h5py.File(path, "r"))
            reader = _Reader(h5py, path.stat().st_size)
            graph = reader.node(reader.child(file, "node", "the file"), "", 0)
        if graph.kind != "NIRGraph":
            raise FileError(f"its root is a {graph.kind}, not a NIRGraph")
        yield graph


def _check_heaps(content: mmap) -> None:
    """Refuse a file whose heaps of texts are damaged: HDF5 would search such a one for ever.

    A heap is its length and objects, each of a number, a length and so many bytes; number 0 is the rest, which is free.
    """
    for heap in _HEAP.finditer(content):
        at, end = heap.end(), heap.start() + int.from_bytes(heap[1], "little")
        while end - at >= _OBJECT:
            number, length = content[at : at + 2], int.from_bytes(content[at + 8 : at + 16], "little")
            at += length if number == b"\0\0" else _OBJECT + -(-length // 8) * 8
            if number == b"\0\0":
                break
        if not heap.end() <= at <= end <= len(content) or end - at >= _OBJECT:
            raise FileError("it is no file in NIR, or a damaged one: its texts are not whole")


@contextmanager
def _one_line() -> Iterator[None]:
    """Whatever h5py says of a damaged file, as one line."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError, LookupError, ValueError, TypeError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileError(f"it is no file in NIR, or a damaged one: {reason[:200]}") from error


class _Reader:
    """One pass through a file, which counts what it takes."""

    def __init__(self, h5py: Any, size: int) -> None:
        self.h5py, self.size = h5py, size
        self.nodes = self.bytes = 0
        self.most = MOST_BYTES + MOST_TIMES * size

    def refuse(self, where: str, why: str) -> NoReturn:
        raise FileError(f"{where or 'the graph'}: {why}")

    def names(self, group: Any, where: str) -> list[str]:
        if len(group) > MOST_NODES:
            self.refuse(where, f"{len(group)} entries, more than the {MOST_NODES} that are read")
        names = list(group)
        for name in names:
            if not isinstance(name, str) or not 0 < len(name) <= _LONGEST or not name.isprintable():
                self.refuse(where, "an entry has a name that is no short text")
        return names

    def child(self, group: Any, name: str, where: str) -> Any:
        """An entry of a group, which must lie in this file."""
        link = group.get(name, getlink=True)
        if link is None:
            self.refuse(where, f"{name} is missing")
        if not isinstance(link, self.h5py.HardLink):
            self.refuse(where, f"{name} is a link to somewhere else, which is not followed")
        return group[name]

    def node(self, group: Any, where: str, depth: int) -> Stored:
        """A node and all that is in it."""
        self.nodes += 1
        if self.nodes > MOST_NODES:
            self.refuse(where, f"there are more than the {MOST_NODES} nodes that are read")
        if depth > _DEEPEST:
            self.refuse(where, f"graphs inside graphs, deeper than the {_DEEPEST} that are read")
        if not isinstance(group, self.h5py.Group):
            self.refuse(where, "it is no node, but numbers")
        names = self.names(group, where)
        kind = self.text(self.child(group, "type", where), f"{where} type".strip())
        if kind not in FIELDS:
            self.refuse(where, f"{kind!r} is no kind of node that is read; {', '.join(FIELDS)} are")
        needed, allowed = FIELDS[kind]
        for name in sorted(needed - set(names)):
            self.refuse(where, f"a {kind} without {name}")
        for name in sorted(set(names) - needed - allowed - {"type", "metadata"} - _UNUSED):
            self.refuse(where, f"a {kind} has no {name}")
        if kind == "NIRGraph":
            return self.graph(group, where, depth)
        present = [name for name in names if name in needed | allowed]
        fields = {name: self.field(self.child(group, name, where), f"{where} {name}".strip()) for name in present}
        found = {name: value for name, value in fields.items() if value is not None}
        for name in sorted(needed - found.keys()):
            self.refuse(where, f"a {kind} whose {name} is empty")
        return Stored(kind, found, {}, [], {})

    def graph(self, group: Any, where: str, depth: int) -> Stored:
        inside = self.child(group, "nodes", where)
        if not isinstance(inside, self.h5py.Group):
            self.refuse(where, "its nodes are no group")
        prefix = f"{where}." if where else ""
        nodes = {
            name: self.node(self.child(inside, name, where), f"{prefix}{name}", depth + 1)
            for name in self.names(inside, where)
        }
        metadata = {}
        if "metadata" in group and depth == 0:
            about = self.child(group, "metadata", where)
            if not isinstance(about, self.h5py.Group):
                self.refuse("metadata", "it is no group")
            for name in self.names(about, "metadata"):
                metadata[name] = self.field(self.child(about, name, "metadata"), f"metadata {name}")
        return Stored("NIRGraph", {}, nodes, self.edges(self.child(group, "edges", where), where), metadata)

    def edges(self, dataset: Any, where: str) -> list[tuple[str, str]]:
        self.plain(dataset, where)
        if len(dataset.shape) != 2 or dataset.shape[1] != 2 or not self.is_text(dataset):
            self.refuse(where, f"its edges are no pairs of names, but {list(dataset.shape)} of {dataset.dtype}")
        if len(dataset) > MOST_NODES:
            self.refuse(where, f"{len(dataset)} edges, more than the {MOST_NODES} that are read")
        found = []
        for row in range(len(dataset)):  # row by row: each may refer to the same long text
            one, other = (self.decoded(value, f"{where} edges".strip()) for value in dataset[row])
            found.append((one, other))
        return found

    def plain(self, dataset: Any, where: str) -> None:
        """Refuse a dataset that isn't in the file itself, or takes more than it may."""
        if not isinstance(dataset, self.h5py.Dataset):
            self.refuse(where, "a group where numbers should be")
        if dataset.is_virtual or dataset.external:
            self.refuse(where, "its numbers lie in another file, which is not opened")
        settings = dataset.id.get_create_plist()
        for index in range(settings.get_nfilters()):
            number = settings.get_filter(index)[0]
            if number not in _FILTERS:
                self.refuse(where, f"packed by filter {number}; {', '.join(_FILTERS.values())} are read")
        if dataset.shape is None:
            return
        chunk = int(np.prod(dataset.chunks, dtype=object)) if dataset.chunks else 0
        size = max(int(np.prod(dataset.shape, dtype=object)), chunk) * dataset.dtype.itemsize
        self.bytes += size
        if self.bytes > self.most:
            self.refuse(where, f"its numbers take {size:,} bytes, too many for a file of {self.size:,}")
        if size and dataset.id.get_storage_size() == 0:
            self.refuse(where, f"{size:,} bytes of numbers that are not in the file")

    def field(self, dataset: Any, where: str) -> Any:
        """An array or a text; None where the file says that there is nothing."""
        self.plain(dataset, where)
        if dataset.shape is None:
            return None
        if self.is_text(dataset):
            return self.text(dataset, where)
        if dataset.dtype.kind not in "fiub" or dataset.dtype.itemsize > 8:
            self.refuse(where, f"{dataset.dtype}, where numbers or a text should be")
        if len(dataset.shape) > 6:
            self.refuse(where, f"{len(dataset.shape)} dimensions")
        return Numbers(dataset) if dataset.size > _SMALL else np.asarray(dataset[()])

    def is_text(self, dataset: Any) -> bool:
        return self.h5py.check_string_dtype(dataset.dtype) is not None

    def text(self, dataset: Any, where: str) -> str:
        self.plain(dataset, where)
        if dataset.shape != () or not self.is_text(dataset):
            self.refuse(where, f"{list(dataset.shape or ())} of {dataset.dtype}, where a text should be")
        return self.decoded(dataset[()], where)

    def decoded(self, value: Any, where: str) -> str:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        if len(text) > _LONGEST:
            self.refuse(where, f"a text of {len(text)} characters")
        return text

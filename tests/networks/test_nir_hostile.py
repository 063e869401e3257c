"""A hostile or broken file is a line: nothing in it is run, nothing of a size that it only names is allocated."""

from __future__ import annotations

import os
import pickle
import resource
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("nir", reason="files in NIR need the extra: pip install 'litspike[nir]'")
import h5py
import nir

from litspike.networks import FromNIR
from litspike.networks.nir import file as nir_file
from litspike.settings import UserError
from tests.networks.nir_oracle import neurons, write

DT = 1e-4
IN, OUT = nir.Input({"input": np.array([6])}), nir.Output({"output": np.array([6])})


def refusal(path: Path, **settings: Any) -> str:
    with pytest.raises(UserError) as refused:
        FromNIR(str(path), **{"dt": DT, **settings})
    line = str(refused.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of a LIF layer and one of weights."""
    write(tmp_path / "n.nir", neurons("LIF"), nir.Linear(np.ones((6, 6), np.float32)))
    return tmp_path / "n.nir"


def edited(path: Path, edit: Callable[[Any], None]) -> str:
    with h5py.File(path, "r+") as file:
        edit(file)
    return refusal(path)


def put(group: Any, name: str, value: Any, **more: Any) -> None:
    if name in group:
        del group[name]
    group.create_dataset(name, data=value, **more)


FIELDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "missing node": (lambda f: f.__delitem__("node"), "the file: node is missing"),
    "missing nodes": (lambda f: f["node"].__delitem__("nodes"), "the graph: a NIRGraph without nodes"),
    "missing type": (lambda f: f["node/nodes/n0"].__delitem__("type"), "n0: type is missing"),
    "missing field": (lambda f: f["node/nodes/n0"].__delitem__("tau"), "n0: a LIF without tau"),
    "a field of nothing": (
        lambda f: put(f["node/nodes/n0"], "tau", h5py.Empty("f4")),
        "n0: a LIF whose tau is empty",
    ),
    "edges of nothing": (
        lambda f: put(f["node"], "edges", h5py.Empty("S1")),
        "it is no file in NIR, or a damaged one",
    ),
    "links in a circle": (
        lambda f: (
            f["node/nodes"].__delitem__("n0"),
            f["node/nodes"].__setitem__("n0", h5py.SoftLink("/node/nodes/q")),
            f["node/nodes"].__setitem__("q", h5py.SoftLink("/node/nodes/n0")),
        ),
        "the graph: n0 is a link to somewhere else, which is not followed",
    ),
    "unknown field": (lambda f: put(f["node/nodes/n0"], "beta", 1.0), "n0: a LIF has no beta"),
    "unknown kind": (lambda f: put(f["node/nodes/n0"], "type", "Evil"), "n0: 'Evil' is no kind of node that is read"),
    "a type that is a number": (lambda f: put(f["node/nodes/n0"], "type", 3.0), "n0 type: [] of float64, where a text"),
    "text for numbers": (lambda f: put(f["node/nodes/n0"], "tau", "soon"), "n0 (LIF): tau: 'soon', where numbers"),
    "not a number": (lambda f: put(f["node/nodes/n0"], "tau", np.full(6, np.nan)), "n0 (LIF): tau holds a number that"),
    "beyond single precision": (lambda f: put(f["node/nodes/n1"], "weight", np.full((6, 6), 1e300)), "n1 (Linear): we"),
    "complex numbers": (lambda f: put(f["node/nodes/n0"], "tau", np.ones(6, complex)), "n0 tau: complex128, where"),
    "compound numbers": (
        lambda f: put(f["node/nodes/n0"], "tau", np.zeros(6, [("a", "f4"), ("b", "i4")])),
        "n0 tau: [('a', '<f4'), ('b', '<i4')], where numbers or a text should be",
    ),
    "a reference": (lambda f: put(f["node/nodes/n0"], "tau", f["node"].ref, dtype=h5py.ref_dtype), "n0 tau: object"),
    "an object": (
        lambda f: put(f["node/nodes/n0"], "tau", np.void(pickle.dumps(print))),
        "n0 tau: |V",
    ),
    "ragged numbers": (
        lambda f: put(f["node/nodes/n0"], "tau", [np.ones(3), np.ones(2)], dtype=h5py.vlen_dtype(float)),
        "n0 tau: object, where numbers",
    ),
    "a group for numbers": (
        lambda f: (f["node/nodes/n0"].__delitem__("tau"), f["node/nodes/n0"].create_group("tau")),
        "n0 tau: a group where numbers should be",
    ),
    "numbers for a node": (
        lambda f: (f["node/nodes"].__delitem__("n0"), put(f["node/nodes"], "n0", 1.0)),
        "n0: it is no node, but numbers",
    ),
    "wrong shape": (
        lambda f: put(f["node/nodes/n0"], "tau", np.ones(5)),
        "n0 (LIF): numbers for neurons of shape [5], where samples have [6] (tau)",
    ),
    "no numbers": (lambda f: put(f["node/nodes/n0"], "tau", np.ones(0)), "n0 (LIF): tau is empty"),
    "no weights": (
        lambda f: put(f["node/nodes/n1"], "weight", np.ones((0, 6))),
        "n1 (Linear): weight: [0, 6]",
    ),
    "a matrix of one dimension": (
        lambda f: put(f["node/nodes/n1"], "weight", np.ones(36)),
        "weight: [36]",
    ),
    "weights that don't fit": (
        lambda f: put(f["node/nodes/n1"], "weight", np.ones((6, 7))),
        "n1 (Linear): weights for 7 inputs, and samples of [6]",
    ),
    "an output of another shape": (
        lambda f: put(f["node/nodes/output"], "shape", [5]),
        "output (Output): it is for samples of [5] and gets [6]",
    ),
    "a huge input": (
        lambda f: put(f["node/nodes/input"], "shape", [10**6, 10**6]),
        "input (Input): 1000000 × 1000000 numbers, more than",
    ),
    "a size below 1": (lambda f: put(f["node/nodes/input"], "shape", [-6]), "input (Input): shape: [-6]"),
    "a negative time constant": (
        lambda f: put(f["node/nodes/n0"], "tau", np.full(6, -1.0)),
        "n0 (LIF): tau: -1 is no time constant",
    ),
    "a link in the file": (
        lambda f: (f["node/nodes/n0"].__delitem__("tau"), f["node/nodes/n0"].__setitem__("tau", h5py.SoftLink("/x"))),
        "n0: tau is a link to somewhere else, which is not followed",
    ),
    "a link to a file": (
        lambda f: (
            f["node/nodes/n0"].__delitem__("tau"),
            f["node/nodes/n0"].__setitem__("tau", h5py.ExternalLink("/etc/passwd", "/x")),
        ),
        "n0: tau is a link to somewhere else, which is not followed",
    ),
    "a graph that holds itself": (
        lambda f: f["node/nodes"].__setitem__("again", f["node"]),
        "again.again",
    ),
    "numbers that are nowhere": (
        lambda f: (
            f["node/nodes/n1"].__delitem__("weight"),
            f["node/nodes/n1"].create_dataset("weight", (6, 6), "f4"),
        ),
        "n1 weight: 144 bytes of numbers that are not in the file",
    ),
    "more numbers than fit": (
        lambda f: (
            f["node/nodes/n1"].__delitem__("weight"),
            f["node/nodes/n1"].create_dataset("weight", (10**7, 10**7), "f4", chunks=(100, 100)),
        ),
        "n1 weight: its numbers take 400,000,000,000,000 bytes, too many for a file of",
    ),
    "a huge chunk": (
        lambda f: (
            f["node/nodes/n1"].__delitem__("weight"),
            f["node/nodes/n1"].create_dataset("weight", (6, 6), "f4", maxshape=(None, None), chunks=(16000, 16000)),
        ),
        "n1 weight: its numbers take 1,024,000,000 bytes, too many for a file of",
    ),
    "a long name": (lambda f: put(f["node"], "edges", [["input", "x" * 5000]]), "edges: a text of 5000 characters"),
    "edges of numbers": (lambda f: put(f["node"], "edges", np.zeros((3, 2))), "the graph: its edges are no pairs"),
    "edges of three": (lambda f: put(f["node"], "edges", [["a", "b", "c"]]), "the graph: its edges are no pairs"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_what_is_wrong_inside_is_named(name: str, path: Path):
    edit, line = FIELDS[name]
    assert line in edited(path, edit)


def test_numbers_in_another_file_are_not_read(path: Path, tmp_path: Path):
    (tmp_path / "secret").write_bytes(b"\0" * 144)

    def external(file: Any) -> None:
        del file["node/nodes/n1/weight"]
        file["node/nodes/n1"].create_dataset("weight", (6, 6), "f4", external=[(str(tmp_path / "secret"), 0, 144)])

    def virtual(file: Any) -> None:
        del file["node/nodes/n1/weight"]
        layout = h5py.VirtualLayout((6, 6), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (6, 6))
        file["node/nodes/n1"].create_virtual_dataset("weight", layout)

    for edit in (external, virtual):
        assert "n1 weight: its numbers lie in another file, which is not opened" in edited(path, edit)


def test_what_is_packed_to_a_millionth_is_not_unpacked(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nir_file, "MOST_BYTES", 1 << 20)

    def bomb(file: Any) -> None:
        del file["node/nodes/n1/weight"]
        file["node/nodes/n1"].create_dataset("weight", data=np.zeros((2048, 4096), np.float32), compression="gzip")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "n1 weight: its numbers take 33,554,432 bytes, too many for a file of" in edited(path, bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB; what h5py packed is in it


def test_no_numbers_are_read_before_all_shapes_are_known_to_fit(path: Path, monkeypatch: pytest.MonkeyPatch):
    def large(*shape: int) -> Callable[[Any], None]:
        return lambda file: put(file["node/nodes/n1"], "weight", np.zeros(shape, np.float32))

    read: list[int] = []
    array = nir_file.Numbers.__array__
    monkeypatch.setattr(
        nir_file.Numbers, "__array__", lambda numbers, *more: (read.append(numbers.size), array(numbers, *more))[1]
    )
    assert "n1 (Linear): weights for 1000 inputs, and samples of [6]" in edited(path, large(6, 1000))
    assert "output (Output): it is for samples of [6] and gets [1000]" in edited(path, large(1000, 6))
    assert read == []
    assert "n1 (Linear): weight: [2000], where [outputs, inputs] is read" in edited(path, large(2000))


def test_more_nodes_or_edges_than_are_read_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nir_file, "MOST_NODES", 3)
    assert "the graph: 4 entries, more than the 3 that are read" in refusal(path)


def test_a_convolution_has_sizes_that_mean_something(tmp_path: Path):
    good = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}
    weight, bias = np.ones((4, 2, 3, 3), np.float32), np.zeros(4, np.float32)
    bad: list[tuple[dict[str, Any], str]] = [
        ({"stride": 0}, "stride: 0 is below 1"),
        ({"padding": -1}, "padding: -1 is below 0"),
        ({"padding": 10**9}, "padding: 1e+09 is no integer that is read"),
        ({"padding": 10**7}, "numbers, more than the"),
        ({"padding": "reflect"}, "padding: 'reflect', where same"),
        ({"padding": "same", "stride": 2}, "padding: 'same', where same (without stride)"),
        ({"dilation": 9}, "a kernel of [3, 3], too large for [8, 8]"),
        ({"groups": 2}, "2 groups of weights [4, 2, 3, 3], and samples of [2, 8, 8]"),
        ({"groups": 0}, "groups: 0 is below 1"),
        ({"stride": np.array([1.5, 1.0])}, "stride: 1.5 is no integer that is read"),
        ({"stride": np.array([1, 1, 1])}, "where 2 sizes should be"),
    ]
    for number, (wrong, line) in enumerate(bad):
        path = tmp_path / f"{number}.nir"
        node = nir.Conv2d(None, weight, bias=bias, **good)
        node.input_shape = (8, 8)
        for name, value in wrong.items():
            setattr(node, name, value)
        write(path, node, shape=(2, 8, 8), output=nir.Output({"output": np.array([4, 8, 8])}))
        assert line in refusal(path), wrong


def graph(tmp_path: Path, nodes: dict[str, Any], edges: list[tuple[str, str]]) -> Path:
    path = tmp_path / "g.nir"
    nir.write(path, nir.NIRGraph(nodes, edges, type_check=False))
    return path


def test_edges_are_all_there_and_lead_somewhere(tmp_path: Path):
    scale = nir.Scale(np.ones(6))
    nodes = {"input": IN, "a": scale, "b": scale, "output": OUT}
    cases: list[tuple[list[tuple[str, str]], str]] = [
        ([("input", "a"), ("a", "c"), ("a", "output")], "an edge from a to c, but there is no c"),
        ([("input", "a"), ("a", "output"), ("b", "output")], "b: no edge leads to it: it gets nothing"),
        ([("input", "a"), ("input", "b"), ("a", "output")], "b: no edge leads on from it"),
        ([("input", "a"), ("a", "b"), ("b", "output"), ("a", "input")], "input: an Input that a leads to"),
        ([("input", "a"), ("a", "b"), ("b", "output"), ("output", "b")], "output: an Output that leads on to b"),
        ([("input", "a"), ("a", "b"), ("a", "b"), ("b", "output")], "two edges from a to b"),
        ([("input", "output"), ("a", "b"), ("b", "a")], "nothing of the input reaches it"),
        ([("input", "a"), ("input", "output"), ("a", "b"), ("b", "b")], "nothing of it reaches the output"),
    ]
    for edges, line in cases:
        assert line in refusal(graph(tmp_path, nodes, edges)), edges
    for missing, kind in (("input", "Input"), ("output", "Output")):
        some = {name: node for name, node in nodes.items() if name != missing}
        kept = [edge for edge in [("input", "a"), ("a", "b"), ("b", "output")] if missing not in edge]
        assert f"0 nodes of kind {kind} (none): one is read" in refusal(graph(tmp_path, some, kept))
    both = {**nodes, "input2": IN}
    edges = [("input", "a"), ("input2", "a"), ("a", "b"), ("b", "output")]
    assert "2 nodes of kind Input (input, input2): one is read" in refusal(graph(tmp_path, both, edges))


def test_a_loop_needs_neurons_and_one_place_at_which_it_is_entered(tmp_path: Path):
    weight = nir.Linear(np.ones((6, 6)))
    chain = [("input", "a"), ("a", "output")]
    nodes = {"input": IN, "a": weight, "b": nir.Scale(np.ones(6)), "output": OUT}
    line = refusal(graph(tmp_path, nodes, [*chain, ("a", "b"), ("b", "a")]))
    assert "a loop without neurons or a delay (a, b): what it gives depends on itself at once" in line
    self_edge = {"input": IN, "a": weight, "output": OUT}
    assert "a loop without neurons or a delay (a)" in refusal(graph(tmp_path, self_edge, [*chain, ("a", "a")]))
    two = {"input": IN, "a": neurons("LIF"), "b": weight, "c": neurons("LIF", seed=1), "d": weight, "output": OUT}
    edges = [*chain, ("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
    line = refusal(graph(tmp_path, two, [*edges, ("input", "c")]))
    assert "entered at a, c: the file doesn't say where it is a step late (a, b, c, d)" in line
    late = {**two, "d": nir.Delay(np.full(6, DT))}
    assert "a delay on a loop through several layers" in refusal(graph(tmp_path, late, edges))
    narrow = {**two, "d": nir.Linear(np.ones((5, 6)))}
    assert "a (LIF): a sum of what has the shapes [6], [5]" in refusal(graph(tmp_path, narrow, edges))
    side = {"input": IN, "a": neurons("LIF"), "b": weight, "output": OUT}
    small = {**side, "b": nir.Linear(np.ones((5, 6)))}
    edges = [*chain, ("a", "b"), ("b", "a")]
    assert "a (LIF): connections of [5, 6] from 6 neurons back to them" in refusal(graph(tmp_path, small, edges))
    slow = {**side, "c": nir.Delay(np.full(6, 3 * DT))}
    edges = [*chain, ("a", "b"), ("b", "c"), ("c", "a")]
    assert "connections back to it with a delay of more than a step" in refusal(graph(tmp_path, slow, edges))


def test_loops_inside_loops_without_end_are_refused(tmp_path: Path):
    names = [f"n{number}" for number in range(12)]
    nodes = {"input": IN, **{name: neurons("LIF") for name in names}, "output": OUT}
    edges = [*pairwise(["input", *names, "output"]), *((names[-1], name) for name in names)]
    assert "loops inside loops, deeper than the 8 that are read" in refusal(graph(tmp_path, nodes, edges))


def test_sums_of_other_shapes_and_delays_without_end_are_refused(tmp_path: Path):
    nodes = {"input": IN, "a": nir.Linear(np.ones((5, 6))), "b": nir.Scale(np.ones(5)), "output": OUT}
    edges = [("input", "a"), ("a", "b"), ("input", "b"), ("b", "output")]
    assert "b (Scale): a sum of what has the shapes" in refusal(graph(tmp_path, nodes, edges))
    for delay, line in (
        (1e9, "steps, more than the"),
        (-DT, "one below 0"),
        (DT / 2, "no multiple of a step"),
    ):
        late = {"input": IN, "late": nir.Delay(np.full(6, delay)), "output": OUT}
        path = graph(tmp_path, late, [("input", "late"), ("late", "output")])
        assert line in refusal(path)
    assert "numbers, more than the" in refusal(graph(tmp_path, {**late, "late": nir.Delay(np.full(6, 3e3))}, [
        ("input", "late"), ("late", "output")
    ]))  # fmt: skip


def test_a_file_that_is_none_in_nir_is_a_line(path: Path, tmp_path: Path):
    content = path.read_bytes()
    for name, written in {
        "empty": b"",
        "text": b"hello",
        "pickle": pickle.dumps({"node": print}),
        "head": content[:600],
        "half": content[: len(content) // 2],
    }.items():
        other = tmp_path / name
        other.write_bytes(written)
        assert "it is no file in NIR, or a damaged one: " in refusal(other)
    assert refusal(tmp_path / "nothing").startswith("it is not there")
    assert refusal(tmp_path).startswith("it is no file")
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").startswith("it is no file")


def test_every_damaged_byte_is_a_line_or_changes_nothing_that_is_checked(path: Path, tmp_path: Path):
    content, rng, other = path.read_bytes(), np.random.default_rng(0), tmp_path / "damaged"
    refused = 0
    for place in rng.choice(len(content), 300, replace=False):
        other.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            FromNIR(str(other), dt=DT)
        except UserError as problem:
            refused += "\n" not in str(problem)  # anything else than such a line is an error of the test
    assert refused > 10


def test_metadata_of_litspikes_is_checked_as_well(tmp_path: Path):
    good = {"writer": "litspike 1", "dialect": "nir", "dt": DT, "discretisation": "euler"}
    node = neurons("LIF")
    assert FromNIR(write(tmp_path / "good.nir", node, metadata=good)).metadata["dialect"] == "nir"
    for name, value, line in (
        ("dt", -1.0, "metadata: no dt, the duration of a step"),
        ("dt", "soon", "metadata: no dt, the duration of a step"),
        ("dt", np.ones(3), "metadata: no dt, the duration of a step"),
        ("dialect", "klingon", "metadata: dialect or discretisation is none"),
        ("discretisation", "magic", "metadata: dialect or discretisation is none"),
    ):
        path = tmp_path / "bad.nir"
        write(path, node, metadata={**good, name: value})
        assert line in refusal(path, dt=None)
    with pytest.raises(UserError, match="dialect: 'norse' is not that of the file, which litspike wrote as nir"):
        FromNIR(str(tmp_path / "good.nir"), dialect="norse")


def test_a_damaged_heap_of_texts_is_not_searched_for_ever(path: Path):
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 16 + 8 + 1] ^= 8  # the first text is said to be longer by 2048 bytes
    path.write_bytes(content)
    assert refusal(path).startswith("it is no file in NIR, or a damaged one")

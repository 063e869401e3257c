"""A configuration file is plain values, each said once; anything else gets a line at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from jsonargparse._loaders_dumpers import yaml_load

from litspike.runs import yaml_text
from litspike.settings import UserError
from tests.conftest import Cli, runs


@pytest.fixture(autouse=True)
def _nothing_hangs() -> Iterator[None]:
    signal.alarm(60)  # ends the process: a hang is no result
    yield
    signal.alarm(0)


def exploding(anchor: str = "[1, 1, 1, 1, 1, 1, 1, 1, 1]") -> str:
    """Nine references to nine references, and so on: 9¹⁰ values."""
    names = "abcdefghij"
    further = (f"{now}: &{now} [{', '.join([f'*{before}'] * 9)}]" for before, now in pairwise(names))
    return "\n".join([f"a: &a {anchor}", *further])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"a: \xff\xfe", "is no UTF-8 text (byte 3)"),
        ("a: 1".encode("utf-16"), "is no UTF-8 text (byte 0)"),
        (b"", "is empty"),
        (b"# nothing\n", "is empty"),
        (b"- 1\n- 2\n", "holds a list, not settings"),
        (b"3\n", "holds a single value, not settings"),
        (b"1: {init_args: 3}\n", "1 is no name of a setting"),
        (b"? \n: {a: 3}\n", "None is no name of a setting"),
        (b"hello\n", "holds a text, not settings"),
        (b"a: 1\n---\nb: 2\n", "line 2: a second document begins"),
        (b"a: 1\nb: 2\na: 3\n", "line 3: 'a' is named twice"),
        (b"g:\n  a: 1\n  a: 1\n", "line 3: 'a' is named twice"),
        (
            b"a: !!python/object/apply:os.system [x]\n",
            "line 1: the tag tag:yaml.org,2002:python/object/apply:os.system",
        ),
        (b"a: !own 3\n", "line 1: the tag !own is not allowed"),
        (b"a: &a [*a]\n", "line 1: *a is inside what it names"),
        (b"a: *b\n", "line 1, column 4: found undefined alias"),
        (exploding().encode(), "more than 20000 values"),
        (exploding("{k: 1}").encode(), "more than 20000 values"),
        (b"a: " + b"[" * 100_000, "exceeded maximum nesting depth"),
        (b"a: " + b"{b: " * 100_000, "groups in groups, more than 40 deep"),
        (b"".join(b" " * depth + b"a:\n" for depth in range(500)), "groups in groups, more than 40 deep"),
        (b"a: [\n", "line 2, column 1: "),
        (b"a: \x01\n", "control characters are not allowed"),
        (b"? [a, b]\n: 1\n", "line 1, column 3: found unhashable key"),
        (b"a: " + b"x" * 2_000_000, "has 2000003 bytes"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, text: bytes, problem: str):
    path = tmp_path / "bad.yaml"
    path.write_bytes(text)
    with pytest.raises(UserError) as caught:
        yaml_text.read(path)
    line = str(caught.value)
    assert problem in line
    assert "\n" not in line
    assert len(line) < 300


def test_what_is_no_plain_file(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    for path, problem in {
        tmp_path: "is a folder",
        tmp_path / "fifo.yaml": "is no plain file",
        Path("/dev/zero"): "is no plain file",
        tmp_path / "loop.yaml": "can't be read",
        tmp_path / "gone.yaml": "there is no file",
        tmp_path / "no" / "such": "there is no file",
        tmp_path / ("x" * 300): "can't be read",
        Path("null\0byte"): "can't be read",
    }.items():
        with pytest.raises(UserError, match=problem):
            yaml_text.read(path)


def test_a_byte_order_mark_and_references_are_read(tmp_path: Path):
    path = tmp_path / "good.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: &x {b: 1}\nc: {<<: *x, d: 1:30}\ne: [0, -3, 0x10, 1.5, 1e-3, 010]\n")
    values = [0, -3, 16, 1.5, 1e-3, "010"]
    assert yaml_text.read(path) == {"a": {"b": 1}, "c": {"b": 1, "d": "1:30"}, "e": values}


@pytest.mark.parametrize("text", ["1:30", "1:30.5", "010", "-2:01", "99:59:59"])
def test_a_number_to_base_60_or_8_is_text_wherever_the_parser_reads_it(text: str):
    assert yaml_load(text) == text  # jsonargparse's own, whose resolvers are changed in place


def test_others_who_read_yaml_are_left_alone():
    assert yaml.safe_load("1:30") == 90


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("trainer: [1, 2]", "trainer: [1, 2] is no group of settings"),
        ("trainer: 3", "trainer: 3 is no group of settings"),
        ("trainer:", "trainer: it is empty: leave it out, or name a setting in it"),
        ("console: null", "console: it is empty: leave it out, or name a setting in it"),
        ("checkpoint: text", "checkpoint: 'text' is no group of settings"),
        ("seeds: 3", "seeds: it belongs on the command line, not into a file: --seeds 3"),
        ("ckpt_path: last", "ckpt_path: it belongs on the command line, not into a file: --ckpt_path last"),
        ("trainer: {max_epochs: 1:30}", "trainer.max_epochs: '1:30' is not an integer or null"),
    ],
)
def test_what_the_parser_would_overlook_gets_one_line(cli: Cli, home: Path, text: str, line: str):
    (home / "bad.yaml").write_text(text)
    assert cli(f"fit -c {home}/bad.yaml").error_line == line
    assert runs(home, "bad") == []

"""The C file compiles without a warning and gives the same bits, whatever compiler and optimisation are chosen."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from litspike.coding import DeltaModulation, Latency, LeakyIntegratorReadout, Population, TimeFirst
from litspike.export.artefact import Refused, Subject
from litspike.export.c import CFile
from litspike.networks import ConvNet, Perceptron
from litspike.neurons import LIF, AdaptiveExponential, AdaptiveLIF, Recurrent
from tests.export.subjects import c_file, normalising, same_bits, task_of

SEQUENCES = torch.rand(3, 12, 4, generator=torch.Generator().manual_seed(0)) * 2
IMAGES = torch.rand(2, 2, 8, 8, generator=torch.Generator().manual_seed(1)) * 3

pytestmark = pytest.mark.integration


def artefact() -> CFile:
    """With everything that the file may be made of in it."""
    network = Perceptron([64, 16, 3], Recurrent(AdaptiveLIF(), True), batch_norm=True)
    encoder = Population(DeltaModulation(0.1), fields=8, high=2.0)
    return c_file(task_of(normalising(network), encoder, LeakyIntegratorReadout("max")), SEQUENCES)


@pytest.mark.parametrize("flags", ["-O0", "-O2", "-O3 -march=native"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_compiler_and_level_gives_the_same_bits(
    compiler: str, flags: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    monkeypatch.setenv("CC", compiler)
    file = artefact()
    file.write(tmp_path)
    process = file.process(tmp_path, tuple(flags.split()))
    try:
        answer = process(SEQUENCES, 12)
    finally:
        process.close()
    assert 0 < answer.layers[0].mean() < 1
    assert same_bits(answer, file.exact()[1](SEQUENCES))


def test_nothing_is_read_or_written_where_it_may_not_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=1")
    network = normalising(ConvNet([2, 8, 8], [4, "pool", 6], [8, 3], LIF(), pooling="average"))
    for index, (file, x) in enumerate([(artefact(), SEQUENCES), (c_file(task_of(network), IMAGES), IMAGES)]):
        folder = tmp_path / str(index)
        folder.mkdir()
        file.write(folder)
        process = file.process(folder, ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"))
        try:
            assert same_bits(process(x, file.steps_of(x)), file.exact()[1](x))
        finally:
            process.close()


def test_the_makefile_makes_an_object_that_needs_nothing_but_itself(tmp_path: Path):
    network = Perceptron([4, 8, 3], AdaptiveExponential())  # whose step has an exponential
    c_file(task_of(network, Latency(8)), SEQUENCES[:, 0] / 2).write(tmp_path)
    made = subprocess.run(["make", "-C", str(tmp_path)], capture_output=True, text=True)
    assert (made.returncode, made.stderr) == (0, "")
    symbols = subprocess.run(["nm", "-u", str(tmp_path / "network.o")], capture_output=True, text=True).stdout.split()
    assert set(symbols) - {"U"} <= {"memset", "memcpy", "_GLOBAL_OFFSET_TABLE_"}  # which compilers call by themselves


def test_the_file_keeps_nothing_outside_the_callers_struct(tmp_path: Path):
    """Two sequences that are run by turns don't see each other, and a step gives what a run gives."""
    network = Perceptron([4, 16, 3], AdaptiveLIF())
    task = task_of(network, TimeFirst())
    file = c_file(task, SEQUENCES, "digits")
    file.write(tmp_path)
    library = tmp_path / "digits.so"
    command = ["cc", "-std=c99", "-O2", "-ffp-contract=off", "-shared", "-fPIC", str(tmp_path / "digits.c")]
    subprocess.run([*command, "-o", str(library)], check=True)
    made = ctypes.CDLL(str(library))
    header = (tmp_path / "digits.h").read_text()
    size = 4 * sum(int(count) for count in re.findall(r"float \w+\[(\d+)\];", header))
    states, outputs = [(ctypes.c_byte * size)() for _ in range(2)], [[], []]
    for state in states:
        made.digits_init(state)
    for step in range(12):
        for which in range(2):
            given = (ctypes.c_float * 4)(*SEQUENCES[which, step].tolist())
            output = (ctypes.c_float * 3)()
            made.digits_step(states[which], given, output)
            outputs[which].append(list(output))
    wanted = file.exact()[1](SEQUENCES).outputs.transpose(0, 1)
    assert torch.tensor(outputs).equal(wanted[:2])
    variables = subprocess.run(["nm", str(library)], capture_output=True, text=True).stdout.splitlines()
    assert not [
        line for line in variables if line.split()[-2] in "bBdD" and not line.split()[-1].startswith(("_", "completed"))
    ]


def test_a_compiler_that_fails_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = artefact()
    file.write(tmp_path)
    monkeypatch.setenv("CC", "false")
    with pytest.raises(Refused, match="c: the C file doesn't compile here: false says"):
        file.process(tmp_path)
    monkeypatch.setenv("CC", "")
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(Refused, match="none of cc, gcc and clang"):
        CFile(file.subject, "network")


def test_a_process_that_ends_too_soon_is_a_line(tmp_path: Path):
    file = artefact()
    file.write(tmp_path)
    process = file.process(tmp_path)
    process._process.kill()
    with pytest.raises(Refused, match="ended with status"):
        process(SEQUENCES, 12)
    process.close()


@pytest.mark.parametrize("name", ["int", "a b", "", "2d", "a-b"])
def test_a_name_that_c_has_no_place_for_is_a_line(name: str):
    with pytest.raises(Refused, match="is no name in C"):
        c_file(task_of(Perceptron([4, 8, 3], LIF())), SEQUENCES[:, 0], name)


def test_the_latency_table_is_the_encoder_at_every_number_near_its_steps():
    for module in (Latency(16, 0.1), Latency(5)):
        task = task_of(Perceptron([4, 8, 3], LIF()), module)
        encoder = c_file(task, SEQUENCES[:, 0] / 2).encoder
        least = encoder.least()
        near = torch.cat([least.view(torch.int32) + offset for offset in range(-3, 4)]).view(torch.float32)
        x = torch.cat([near[(near >= 0) & (near <= 1)], torch.rand(1000)])
        came = (x >= least[:, None]).to(torch.int32)
        first = torch.where(came.any(0), came.argmax(0), module.steps)
        spikes = module(x[None])[:, 0]
        assert torch.where(spikes.any(0), spikes.argmax(0), module.steps).equal(first)


def test_a_subject_that_no_export_can_run_from_rest_is_refused():
    from litspike.settings import UserError
    from litspike.tasks import CarriedClassification

    task = task_of(Perceptron([4, 8, 3], LIF()))
    carried = CarriedClassification(task.network, task.encoder, task.readout)
    with pytest.raises(UserError, match="CarriedClassification has a forward of its own"):
        Subject(carried, SEQUENCES[:, 0])
    task.network.layers[0].weight.data[0, 0] = torch.nan
    with pytest.raises(UserError, match=r"network\.layers\.0\.weight holds NaN"):
        Subject(task, SEQUENCES[:, 0])

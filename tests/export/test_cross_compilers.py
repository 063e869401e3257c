"""The files compile for other processors without a warning, and give there what they give here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from litspike.coding import DeltaModulation, LeakyIntegratorReadout, Population
from litspike.export.artefact import Subject
from litspike.export.c import CFile
from litspike.export.c.compile import Toolchain
from litspike.export.c.text import FLAGS, WARNINGS
from litspike.export.integer.file import IntegerFile
from litspike.export.integer.fixed import Settings
from litspike.networks import ConvNet, Perceptron
from litspike.neurons import LIF, AdaptiveExponential, AdaptiveLIF, Recurrent
from tests.export.subjects import c_file, normalising, same, task_of
from tests.export.test_c_layers import IMAGES
from tests.export.test_c_layers import SEQUENCES as SIGNED

pytestmark = pytest.mark.thorough
SEQUENCES = SIGNED.abs()

SETTINGS = {"float": None, "int8, 16 bits": Settings(8, "free", 16), "int4, 32 bits": Settings(4, "power_of_two", 32)}
EMULATED = {"aarch64": Toolchain(["aarch64-linux-gnu-gcc", "-static"], ["qemu-aarch64"])}
"""A compiler for another processor, and what runs its programs here."""
BARE = {
    "Cortex-M0": ["arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb", "-ffreestanding"],
    "Cortex-M4": ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"],
    "aarch64": ["aarch64-linux-gnu-gcc"],
}


def files(settings: Settings | None) -> list[tuple[CFile, torch.Tensor]]:
    """A recurrent network of sequences and a convolutional one of images."""
    torch.manual_seed(0)
    recurrent = Perceptron([64, 16, 8, 3], Recurrent(AdaptiveLIF(), True), batch_norm=True)
    encoder, readout = Population(DeltaModulation(0.1), fields=8, high=2.0), LeakyIntegratorReadout("max")
    convolutions = ConvNet([2, 9, 7], [4, "pool", 6], [8, 3], LIF(), pooling="average")
    found = []
    for task, x in (
        (task_of(normalising(recurrent), encoder, readout), SEQUENCES),
        (task_of(normalising(convolutions)), IMAGES),
    ):
        file = c_file(task, x)
        found.append((file if settings is None else IntegerFile(Subject(task, x), "network", settings, x), x))
    return found


def needed(*programs: str) -> None:
    """Skip the test where a program is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


@pytest.mark.parametrize("numbers", SETTINGS)
@pytest.mark.parametrize("processor", EMULATED)
def test_under_an_emulator_the_file_gives_what_it_must_give_to_the_last_bit(
    processor: str, numbers: str, tmp_path: Path
):
    tools = EMULATED[processor]
    needed(tools.compiler[0], tools.runner[0])
    for file, x in files(SETTINGS[numbers]):
        file.write(tmp_path)
        process = file.process(tmp_path, tools=tools)
        try:
            answer = file.meaning(process(file.given(x), file.steps_of(x)), file.steps_of(x))
        finally:
            process.close()
        assert 0 < answer.layers[0].mean() < 1
        assert same(answer, file.exact()[1](x))


@pytest.mark.parametrize("numbers", SETTINGS)
@pytest.mark.parametrize("processor", BARE)
def test_a_compiler_for_another_processor_has_nothing_to_say(processor: str, numbers: str, tmp_path: Path):
    needed(BARE[processor][0])
    network = Perceptron([4, 8, 3], AdaptiveExponential())  # whose step has an exponential
    task = task_of(network)
    x = SEQUENCES[:, 0]
    settings = SETTINGS[numbers]
    exponential = c_file(task, x) if settings is None else IntegerFile(Subject(task, x), "network", settings, x)
    for file in [exponential, *(file for file, _ in files(settings))]:
        file.write(tmp_path)
        flags = [*FLAGS.split(), *WARNINGS.split(), "-Werror", "-Os"]
        source, made = str(tmp_path / "network.c"), str(tmp_path / "network.o")
        done = subprocess.run([*BARE[processor], *flags, "-c", source, "-o", made], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

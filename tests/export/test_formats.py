"""Every configuration, fitted for a moment at a reduced size, is exported to every format, or refused by a line."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from litspike.export.formats import FORMATS
from litspike.networks.nir.dialects import DIALECTS
from tests.conftest import Cli, runs
from tests.grids import thorough
from tests.test_configurations import CONFIGURATIONS, EVENTS, FEWER, LIBRARIES, SLOW, SMALLER

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:.*published are")]

NAMES = [path.stem for path in CONFIGURATIONS]
WAYS = {
    **{to: f"--to {to}" for to in FORMATS},
    "integers": "--to c --integer 8",
    **{dialect: f"--to nir --dialect {dialect}" for dialect in DIALECTS},
}
"""What can be written → what the command line says of it."""
NIR = ("nir", *DIALECTS)
LARGE = {"nmnist", "cifar10_dvs", "dvs_gesture"}
PACKAGES = {"onnx": ("onnxruntime", "onnxscript"), **dict.fromkeys(NIR, ("nir",))}

ADAPTIVE = "an adaptive threshold has no place in NIR; --approximate writes it as a threshold that stays"
SUBTRACTING = "reset: subtract has no place in NIR; --approximate writes it as a reset to zero"
ZERO = "reset: zero is nothing that the reader knows; --approximate writes it as reset: subtract"
SYMPLECTIC = "nir: layer 1 (Recurrent SymplecticAdaptiveLIF, 16): SymplecticAdaptiveLIF is none of NIR's neurons"
SYNAPSE = "a synaptic current is nothing that sinabs's reader knows"
OF_EACH = "numbers for each neuron (tau_mem) are nothing that spikingjelly's reader knows"
OF_SYNAPSES = {
    "spikingjelly": f"nir: layer 1 (SynapticLIF, 120): {OF_EACH}",
    "sinabs": f"nir: layer 1 (SynapticLIF, 120): {SYNAPSE}",
}
REFUSED: dict[str, dict[str, str]] = {
    "arrays": {"sinabs": f"nir: layer 1 (LIF, 64): {ZERO}"},
    "article": dict.fromkeys(WAYS, "CarriedClassification has a forward of its own"),
    "cifar10_dvs": {"sinabs": ZERO},
    "default": {"sinabs": f"nir: layer 1 (LIF, 10): {ZERO}"},
    "delayed_xor": dict.fromkeys(NIR, f"nir: layer 1 (AdaptiveLIF, 64): {ADAPTIVE}"),
    "digits": {"sinabs": f"nir: layer 1 (LIF, 32×8×8): {ZERO}"},
    "digits_sequence": dict.fromkeys(NIR, "nir: layer 1 (ResonateAndFire, 32): ResonateAndFire is none of NIR's"),
    "dvs_gesture": {"sinabs": ZERO},
    "mackey_glass": {
        **dict.fromkeys(NIR, f"nir: layer 1 (SynapticLIF, 64): {SUBTRACTING}"),
        "sinabs": f"nir: layer 1 (SynapticLIF, 64): {SYNAPSE}",
    },
    "mackey_glass_forecast": dict.fromkeys(WAYS, "trainer.precision: 64-true is not what is written: set 32-true"),
    "manifolds": {
        "spikingjelly": f"nir: layer 1 (SynapticLIF, 128): {OF_EACH}",
        "sinabs": f"nir: layer 1 (SynapticLIF, 128): {SYNAPSE}",
    },
    "nmnist": {"sinabs": ZERO},
    "sequences": dict.fromkeys(WAYS, "the sequences have different lengths; this needs sequences of one length"),
    "shd": dict.fromkeys(NIR, SYMPLECTIC),
    "ssc": dict.fromkeys(NIR, SYMPLECTIC),
    "store_recall": dict.fromkeys(NIR, f"nir: layer 1 (AdaptiveLIF, 64): {ADAPTIVE}"),
    "time_series": {
        **dict.fromkeys(("c", "integers"), "c: model.readout: LinearOfRates is none of MeanOverTime"),
        **dict.fromkeys(("torch", "onnx"), "layers.1 (AxonalDelay): its state has no place in a step's program"),
        **{
            dialect: f"nir: layers.1 (AxonalDelay): a delay is nothing that {dialect}'s reader knows"
            for dialect in DIALECTS
        },
    },
    "yin_yang": OF_SYNAPSES,
    "yin_yang_first_spike": OF_SYNAPSES,
}
"""Name of each configuration → what it can't be written as, and the line that says why."""

FIT = "--trainer.max_epochs 1 --trainer.limit_train_batches 5 --trainer.limit_val_batches 1 --pictures.every 0"
SHORTER = {"digits_sequence": "--model.network.sizes [8,32,16,10]"}
WITHOUT_BATCHES = {"mackey_glass_forecast"}


def in_turn() -> list[Any]:
    """Each small configuration with one of the ways, and marked thorough, every configuration with all of them."""
    small = [name for name in NAMES if name not in LARGE]
    ways = list(WAYS)
    marks = {name: pytest.mark.slow if name in SLOW else () for name in small}
    turns = [
        pytest.param(name, [ways[index % len(ways)]], id=name, marks=marks[name]) for index, name in enumerate(small)
    ]
    return turns + [thorough(name, ways, id=f"{name}-all") for name in NAMES]


def test_every_configuration_has_a_row():
    assert list(REFUSED) == NAMES


@pytest.mark.parametrize(("name", "ways"), in_turn())
def test_a_configuration_is_exported_or_refused_by_a_line(
    cli: Cli, home: Path, name: str, ways: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    for package in (package for way in ways for package in PACKAGES.get(way, ()) if len(ways) == 1):
        pytest.importorskip(package, reason=f"{ways[0]} needs an extra: pip install 'litspike[nir,onnx]'")
    fit(cli, home, name)
    few = "" if name in WITHOUT_BATCHES else "--data.eval_batch_size 4 --trainer.limit_test_batches 1"
    for way in ways:
        if not all(map(find_spec, PACKAGES.get(way, ()))):
            continue
        result = cli(f"export {WAYS[way]} -c {home}/configs/{name}.yaml {few}")
        if way in REFUSED[name]:
            assert REFUSED[name][way] in result.error_line
        else:
            assert (way, result.status, result.err) == (way, 0, "")
            (run,) = runs(home, name)
            check(way, run)


def fit(cli: Cli, home: Path, name: str) -> None:
    """Leave a checkpoint of a network that is hardly trained."""
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    more = f"{SHORTER.get(name, '')} {SMALLER.get(name, '')}"
    if name in EVENTS:
        pytest.importorskip("tonic", reason="event data need Tonic: pip install 'litspike[events]'")
        from tests.data.events.miniatures import CASES

        (case,) = (case for case in CASES if case.module.__name__ == EVENTS[name])
        case.make(home / "data")
        more += f" {FEWER} --trainer.accelerator cpu"
    fitted = cli(f"fit -c {home}/configs/{name}.yaml {FIT} {more}")
    assert fitted.status == 0, fitted.err


def check(way: str, run: Path) -> None:
    """The report says that the spikes are the same, and that the metrics are but for what follows from rounding."""
    to = "c-int8" if way == "integers" else WAYS[way].split()[1]
    report = json.loads((run / "export" / to / "fidelity.json").read_text(encoding="utf-8"))
    assert report["layers"]
    assert report["samples"] >= 1
    assert min(layer["equal"] for layer in report["layers"]) >= (0.9 if way == "integers" else 0.999)
    for metric in report["metrics"].values():
        assert metric[to] == pytest.approx(metric["litspike"], rel=0.05, abs=0.25 if way == "integers" else 0.02)
    assert ("bit_for_bit" in report) == (to.startswith("c"))  # it would have been refused otherwise
    facts = report["facts"]
    if to == "onnx":
        assert facts["opset"].startswith("ai.onnx ")
    if to == "torch":
        assert facts["largest difference step by step"] <= 1e-4 * report["outputs"]["largest_number"]
    if to == "nir":
        assert facts["nodes"].startswith("1 Input, ")
        assert "approximated" not in facts
        assert facts["dialect"] == ("NIR's own equations" if way == "nir" else way)

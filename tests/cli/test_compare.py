"""Runs side by side: receipts, settings that differ, curves; one run, an experiment, a group of seeds."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch.utils.tensorboard import SummaryWriter

from litspike.files import replace_checked_json
from litspike.reports.compare import curves, tables
from litspike.reports.compare.collect import find
from tests.conftest import PROJECT, Cli

CONFIG = {"seed_everything": 0, "model": {"class_path": "Net", "init_args": {"decay": 0.9, "sizes": [2, 10, 1]}}}


MEMORY = {
    "with_memory": {"total": 2.5},
    "without_spikes_same_bits": {"total": 3.25},
    "firing_rate": 0.125,
    "spikes_win_below": 0.0625,
}


def receipt(accuracy: float, acs: float) -> dict[str, Any]:
    return {
        "samples": 500,
        "figures": {
            "accuracy": {"value": accuracy, "interval": [accuracy - 0.02, accuracy + 0.01], "of": "Wilson"},
            "loss": {"value": 0.25, "no_interval": "the loss is no mean over the samples"},
        },
        "parameters": {"all": 41, "trained": 40},
        "time_steps": 16,
        "layers": {"layer 1": {"model": "LIF", "neurons": 10, "rate": 0.125}},
        "operations": {"macs": 20.0, "acs": acs, "dense": 180.0},
        "energy": {"with_spikes": 0.13, "pj_per_mac": 4.6, "pj_per_ac": 0.9, "source": "Horowitz 2014", **MEMORY},
        "latency": {"milliseconds": 0.25, "streamed_step_microseconds": 4.5},
        "anytime": {
            "earliest_step_with_99_percent": 3, "score": "accuracy", "steps": [1, 2], "values": [0.5, accuracy],
            "operations": [20.0, 20.0 + acs],
        },
    }  # fmt: skip


def make_run(
    folder: Path, changed: str = "2026-01-01", config: dict[str, Any] | None = None, said: dict[str, Any] | None = None
) -> Path:
    """A finished run's folder, as fit and test leave it; with a receipt where ``said`` is one."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "best.ckpt").touch()
    figures = {"val/loss": 0.3, "test/loss": 0.25, "test/accuracy": 0.95}
    record = {"status": "finished", "changed": changed, "figures": figures}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "config.yaml").write_text(yaml.safe_dump(config or CONFIG))
    if said is not None:
        (folder / "receipt.json").write_text(json.dumps(said))
    return folder


def write_events(run: Path, tag: str, values: dict[int, float]) -> None:
    with SummaryWriter(str(run)) as writer:
        for step, value in values.items():
            writer.add_scalar(tag, value, step)


def rows(found: list[tables.Row]) -> dict[str, list[str]]:
    return {row.name: row.values for row in found}


def make_seeds(folder: Path) -> Path:
    for seed, accuracy in ((0, 0.9), (1, 0.94)):
        run = make_run(folder / str(seed) / "mine" / "run", config={**CONFIG, "seed_everything": seed})
        (run / "receipt.json").write_text(json.dumps(receipt(accuracy, acs=40.0 + 20 * seed)))
        write_events(run, "train/loss", {1: 1.0 + seed, 2: 0.5 + seed})
    figures = {"test/accuracy": {"values": [0.9, 0.94], "mean": 0.92, "interval": [0.67, 1.17]}}
    (folder / "seeds.json").write_text(json.dumps({"seeds": [0, 1], "figures": figures}))
    return folder


def test_receipts_stand_side_by_side(tmp_path: Path):
    subjects = [
        find(str(make_run(tmp_path / "mine" / name, said=receipt(accuracy, acs))))
        for name, accuracy, acs in (("a", 0.9, 40.5), ("b", 0.95, 1234.0))
    ]
    figures = rows(tables.metrics(subjects))
    assert list(figures) == ["test/accuracy", "test/loss", "val/loss"]
    assert figures["test/accuracy"] == ["0.9000 (0.8800 to 0.9100)", "0.9500 (0.9300 to 0.9600)"]
    assert figures["val/loss"] == ["0.3000", "0.3000"]
    costs = rows(tables.costs(subjects))
    assert costs["parameters"] == ["41", "41"]
    assert costs["accumulates a sample"] == ["40.5", "1,234"]
    assert costs["energy a sample, arithmetic alone, nJ"] == ["0.13", "0.13"]
    assert costs["latency of one sample, ms"] == ["0.25", "0.25"]
    assert costs["latency of one streamed step, µs"] == ["4.5", "4.5"]
    assert costs["firing rate of layer 1"] == ["0.125", "0.125"]
    assert "… without spikes, one pass, nJ" not in costs
    assert costs["… with memory, nJ"] == ["2.5", "2.5"]
    assert costs["… with memory, without spikes, same bits, nJ"] == ["3.25", "3.25"]
    assert costs["spikes per neuron and step"] == ["0.125", "0.125"]
    assert costs["… below which spikes win"] == ["0.0625", "0.0625"]


def test_where_spikes_never_win_the_comparison_says_so(tmp_path: Path):
    said = receipt(0.9, 40.5)
    said["energy"]["spikes_win_below"] = "never"
    subjects = [find(str(make_run(tmp_path / "mine" / "a", said=said)))]
    assert rows(tables.costs(subjects))["… below which spikes win"] == ["never"]


def test_a_run_without_a_receipt_shows_its_record_and_says_how_to_get_one(cli: Cli, home: Path):
    with_one = make_run(home / "logs" / "mine" / "a", said=receipt(0.9, 40.5))
    without = make_run(home / "logs" / "mine" / "b")
    result = cli(f"compare {with_one} {without}")
    assert (result.status, result.err) == (0, "")
    assert re.search(r"test/accuracy │ 0\.9000 \(0\.8800 to 0\.9100\) │ 0\.9500 ", result.out)
    assert re.search(r"parameters +│ 41 +│ – ", result.out)
    command = f"`python main.py test --ckpt_path {without / 'checkpoints' / 'best.ckpt'}`"
    notes = [line for line in result.out.splitlines() if line.startswith("no receipt")]
    assert notes == [f"no receipt of B: write one with {command}"]


def test_only_the_settings_that_differ_are_shown(tmp_path: Path):
    other = {"seed_everything": 0, "model": {"class_path": "Other", "init_args": {"decay": 0.8, "sizes": [2, 10, 1]}}}
    other["threads"] = 1
    other["model"]["init_args"]["sizes"] = [2.0, 10, 1.0]  # the same
    subjects = [find(str(make_run(tmp_path / name, config=config))) for name, config in (("a", CONFIG), ("b", other))]
    assert rows(tables.differences(subjects)) == {
        "model": ["Net", "Other"],
        "model.decay": ["0.9", "0.8"],
        "threads": ["–", "1"],
    }


def test_what_a_test_was_run_with_otherwise_is_said(cli: Cli, home: Path):
    said = {**receipt(0.9, 40.5), "configuration": {"changed_for_this_test": {"data.test_points": 500}}}
    a, b = make_run(home / "a", said=said), make_run(home / "b", said=receipt(0.9, 40.5))
    assert "A was tested with data.test_points 500\n" in cli(f"compare {a} {b}").out


def test_a_receipt_of_other_weights_than_the_best_is_said(cli: Cli, home: Path):
    digest = hashlib.sha256(b"").hexdigest()
    for name, file, of in (("a", "best", digest), ("b", "last", digest), ("c", "best", "0" * 64)):
        checkpoint = {"file": f"checkpoints/{file}.ckpt", "sha256": of}
        make_run(home / name, said={**receipt(0.9, 40.5), "checkpoint": checkpoint})
    out = cli(f"compare {home}/a {home}/b {home}/c").out
    assert [line for line in out.splitlines() if "was tested with" in line] == [
        "B was tested with checkpoints/last.ckpt, which is not its best checkpoint",
        "C was tested with checkpoints/best.ckpt as it was before the fit went on: test it again",
    ]


def test_an_experiment_stands_for_its_newest_finished_run(tmp_path: Path):
    make_run(tmp_path / "mine" / "old", "2026-01-01")
    newest = make_run(tmp_path / "mine" / "new", "2026-01-03")
    make_run(tmp_path / "mine" / "middle", "2026-01-02")
    running = make_run(tmp_path / "mine" / "running", "2026-01-04")
    (running / "run.json").write_text(json.dumps({"status": "running", "changed": "2026-01-04"}))
    assert find(str(tmp_path / "mine")).folder == newest


def test_a_group_of_seeds_shows_its_means(tmp_path: Path):
    group = find(str(make_seeds(tmp_path / "mine.seeds-0123")))
    single = find(str(make_run(tmp_path / "a", said=receipt(0.9, 40.5))))
    assert rows(tables.metrics([group, single]))["test/accuracy"][0] == "0.9200 (0.6700 to 1.1700)"
    assert rows(tables.costs([group, single]))["accumulates a sample"] == ["50", "40.5"]
    assert rows(tables.differences([group, single])) == {"seed_everything": ["0, 1", "0"]}
    (panel,) = curves.training([group])
    (axes,) = curves.draw([panel], ["A"]).axes
    assert axes.lines[0].get_xydata().tolist() == [[1, 1.5], [2, 1.0]]
    (band,) = axes.collections
    assert (band.get_paths()[0].vertices[:, 1].min(), band.get_paths()[0].vertices[:, 1].max()) == (0.5, 2.0)


def test_curves_hold_what_the_runs_logged(tmp_path: Path):
    first, second = (make_run(tmp_path / "mine" / name, said=receipt(0.9, 40.5)) for name in ("a", "b"))
    write_events(first, "train/loss", {1: 1.0, 2: 0.5, 3: 0.75})
    write_events(first, "train/loss", {3: 0.25, 4: 0.125})  # epoch 3 was cut short, and done again
    write_events(first, "firing rate/1", {1: 0.1})
    write_events(second, "val/loss", {1: 2.0})
    subjects = [find(str(run)) for run in (first, second)]
    assert curves.training(subjects) == [
        ("epoch", "train/loss", [[([1, 2, 3, 4], [1.0, 0.5, 0.25, 0.125])], []]),
        ("epoch", "val/loss", [[], [([1], [2.0])]]),
    ]
    steps, operations = curves.anytime(subjects)
    assert steps == ("time step", "test/accuracy until then", [[([1, 2], [0.5, 0.9])]] * 2)
    assert operations.lines == [[([20.0, 60.5], [0.5, 0.9])]] * 2


def test_curves_by_step_are_called_so_and_kept_apart_from_those_by_epoch(tmp_path: Path):
    by_epoch, by_step, mixed = (make_run(tmp_path / name) for name in ("a", "b", "c"))
    write_events(by_epoch, "val/loss", {1: 1.0, 2: 0.5})
    write_events(by_step, "val/loss", {50: 1.0, 100: 0.5})
    write_events(by_step, "epoch", {50: 1, 100: 1})
    write_events(mixed, "val/loss", {1: 2.0})
    write_events(mixed, "epoch", {7: 1})  # beside what another tag has by step
    subjects = [find(str(path)) for path in (by_epoch, by_step, mixed)]
    assert curves.training(subjects) == [
        ("epoch", "val/loss", [[([1, 2], [1.0, 0.5])], [], [([1], [2.0])]]),
        ("optimizer step", "val/loss", [[], [([50, 100], [1.0, 0.5])], []]),
    ]


def test_each_line_is_told_by_colour_and_in_grey(tmp_path: Path):
    panel = curves.Panel("epoch", "train/loss", [[([1.0, 2.0], [1.0, 0.5])]] * 12)
    figure = curves.draw([panel], [f"run {number}" for number in range(12)])
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 12
    assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "run 11"


def test_the_page_needs_nothing_beside_it(cli: Cli, home: Path):
    config = {**CONFIG, "note": "<script>alert(1)</script>"}
    a, b = make_run(home / "a", said=receipt(0.9, 40.5)), make_run(home / "b", config=config)
    write_events(a, "train/loss", {1: 1.0, 2: 0.5})
    result = cli(f"compare {a} {b}")
    page = home / "logs" / "comparison.html"
    assert result.out.splitlines()[-1] == f"page: {page}"
    text = page.read_text()
    assert "<td>0.9000 (0.8800 to 0.9100)</td><td>0.9500</td>" in text
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(addresses) == 2  # training, and anytime
    for address in addresses:
        assert b"</svg>" in base64.b64decode(address.removeprefix("data:image/svg+xml;base64,"))
    cli(f"compare {a} {b} --page {home}/of/mine.html")
    assert (home / "of" / "mine.html").read_text().count("<img") == 2


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", "compare: name two runs or more: `python main.py compare logs/A logs/B`"),
        ("{good}", "compare: name two runs or more: `python main.py compare logs/A logs/B`"),
        ("{good} {home}/nowhere", "compare: there is no folder {home}/nowhere"),
        ("{good} {home}/configs", "compare: no run in {home}/configs: name the folder of a run, of an experiment or"),
        ("{good} {home}/good/../good", "compare: {good} is named twice"),
        ("{good} {home}/unfinished", "no finished run in {home}/unfinished: train first"),
        ("{good} {home}/broken", "compare: {home}/broken/run.json can't be read (Expecting value"),
        ("{good} {home}/torn", "compare: {home}/torn/receipt.json can't be read (it holds no names and values)"),
        ("{good} {home}/bare", "compare: {home}/bare/config.yaml can't be read (No such file or directory)"),
        ("{good} {home}/none.seeds-1", "compare: no tested run of a seed in {home}/none.seeds-1"),
        ("{good} --strange 1", "compare: unrecognized arguments: --strange"),
    ],
)
def test_a_mistake_is_answered_in_one_line(cli: Cli, home: Path, arguments: str, line: str):
    good = make_run(home / "good", said=receipt(0.9, 40.5))
    make_run(home / "broken").joinpath("run.json").write_text("")
    make_run(home / "torn").joinpath("receipt.json").write_text("[]")
    make_run(home / "bare").joinpath("config.yaml").unlink()
    make_run(home / "unfinished" / "a").joinpath("run.json").write_text('{"status": "running"}')
    make_seeds(home / "none.seeds-1").joinpath("seeds.json").write_text('{"seeds": [7], "figures": {}}')
    result = cli("compare", *arguments.format(good=good, home=home).split())
    assert result.error_line.startswith(line.format(good=good, home=home))


def test_changed_metrics_of_seeds_are_not_shown(cli: Cli, home: Path):
    good, group = make_run(home / "good", said=receipt(0.9, 40.5)), make_seeds(home / "mine.seeds-2")
    replace_checked_json(group / "seeds.json", json.loads((group / "seeds.json").read_text()))
    assert cli("compare", str(good), str(group)).status == 0
    text = (group / "seeds.json").read_text()
    (group / "seeds.json").write_text(text.replace('"mean": 0.92', '"mean": 0.97'))
    line = cli("compare", str(good), str(group)).error_line
    assert line.startswith(f"compare: {group}/seeds.json can't be read (it was changed since it was written")


def test_the_help_lists_it(cli: Cli):
    assert re.search(r"^ +compare +Shows runs side by side", cli("--help").out, re.MULTILINE)
    assert "newest finished run" in cli("compare --help").out


@pytest.mark.slow
def test_real_runs_are_compared_without_lightning(cli: Cli, home: Path):
    for neuron in ("LIF", "AdaptiveLIF"):
        options = "--trainer.max_epochs 2 --data.train_points 50 --pictures.every 0"
        assert cli(f"fit {options} --model.network.neuron litspike.neurons.{neuron}").status == 0
        assert cli("test").status == 0
    script = (
        "import sys; from pathlib import Path; from litspike.cli import main; "
        f"status = main(['compare', *sys.argv[1:]], Path({str(home)!r})); "
        "sys.exit(status or ('lightning' in sys.modules or 'pytorch_lightning' in sys.modules))"
    )
    folders = [str(path.relative_to(home)) for path in sorted((home / "logs" / "default").iterdir())]
    command = [sys.executable, "-c", script, *folders]
    environment = {"PYTHONPATH": str(PROJECT / "src"), "PATH": "", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"model\.network\.neuron +│ litspike\.neurons\.LIF +│ litspike\.neurons\.AdaptiveLIF", done.stdout)
    assert "<img" in (home / "logs" / "comparison.html").read_text()


def test_the_metrics_are_those_of_the_checkpoint_that_is_tested(cli: Cli, home: Path):
    options = "--trainer.max_epochs 5 --data.train_points 50 --pictures.every 0 --receipt.enabled false"
    for name in ("LIF", "IF"):
        neuron = f"--model.network.neuron litspike.neurons.{name}"
        assert cli(f"fit {options} --model.optimizer.lr 0.3 {neuron}").status == 0
    found, last = [], []
    for folder in sorted((home / "logs" / "default").iterdir()):
        (panel,) = (panel for panel in curves.training([find(str(folder))]) if panel.y == "val/loss")
        values = panel.lines[0][0][1]
        found.append(f"{min(values):.4f}")
        last.append(f"{values[-1]:.4f}")
    assert found != last  # the best epoch of one isn't its last
    subjects = [find(str(folder)) for folder in sorted((home / "logs" / "default").iterdir())]
    shown = rows(tables.metrics(subjects))
    assert shown["val/loss of the best checkpoint"] == found
    assert "train/loss of the last epoch" in shown
    assert not {"val/loss", "train/loss"} & shown.keys()


def test_what_differs_can_be_seen_in_a_narrow_terminal(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = [f"a_package_of_mine.with_some_parts.and_neurons.of_kind_{kind}.Neuron[b]" for kind in "abc"]
    folders = [
        make_run(home / f"{place}", config={"model": {f"{'a_long_name_' * 5}{end}": name for end in "xy"}})
        for place, name in enumerate(names)
    ]
    out = cli("compare", *map(str, folders)).out
    for end in "xy":
        block = [
            f"  model.{'a_long_name_' * 5}{end}",
            *(f"    {at}  {name}" for at, name in zip("ABC", names, strict=True)),
        ]
        assert "\n".join(block) in out


WRONG = {
    "receipt.json": [
        "[" * 100_000,
        '{"figures": 3}',
        '{"figures": {"loss": {"value": "low"}}, "layers": {}, "configuration": {}}',
        '{"figures": {"loss": {}}, "layers": {}, "configuration": {}}',
        '{"figures": {"loss": {"value": 1, "interval": [1]}}, "layers": {}, "configuration": {}}',
        '{"figures": {}, "layers": {"layer 1": 3}, "configuration": {}}',
        '{"figures": {}, "layers": {}, "configuration": [], "energy": {}}',
        '{"figures": {}, "layers": {}, "configuration": {}, "energy": {"pj_per_mac": 1}}',
        '{"figures": {}, "layers": {}, "configuration": {}, "anytime": {"score": 1, "steps": [], "values": []}}',
    ],
    "seeds.json": ["3", "{}", '{"seeds": 3, "figures": {}}', '{"seeds": [0], "figures": {"test/loss": {"mean": []}}}'],
    "config.yaml": ["", "- 1", "a: [", "a: &a [*a]", "\xff", "a: " + "[" * 5000],
    "run.json": ["", "[]", "\xff", "[" * 100_000],
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("pipe", [False, True], ids=["content", "pipe"])
def test_a_damaged_file_is_one_line_and_a_pipe_is_not_waited_for(cli: Cli, home: Path, name: str, pipe: bool):
    good = make_run(home / "good")
    bad = make_seeds(home / "bad") if name == "seeds.json" else make_run(home / "bad", said=receipt(0.9, 40.5))
    for content in [""] if pipe else WRONG[name]:
        (bad / name).unlink(missing_ok=True)
        os.mkfifo(bad / name) if pipe else (bad / name).write_bytes(content.encode("latin-1"))
        line = cli(f"compare {good} {bad}").error_line
        assert line.startswith(f"compare: {bad / name} can't be read ("), content[:80]


def test_events_that_are_a_pipe_are_not_waited_for(cli: Cli, home: Path):
    good, bad = make_run(home / "good"), make_run(home / "bad")
    os.mkfifo(bad / "events.out.tfevents.1.x.1.0")
    assert "can't be read (it is no file)" in cli(f"compare {good} {bad}").error_line
    assert cli(f"compare {good} {home}/loop").error_line
    (home / "loop").symlink_to(home / "loop")
    assert "there is no folder" in cli(f"compare {good} {home}/loop").error_line

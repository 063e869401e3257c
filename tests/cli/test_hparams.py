"""TensorBoard's HParams tab, asked in TensorBoard's own words: every run with what it depends on and how it ended."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.get_experiment import Handler as Experiment
from tensorboard.plugins.hparams.list_session_groups import Handler as SessionGroups

from litspike.cli import main
from tests.conftest import PROJECT, Cli
from tests.runs.test_inside_epochs import scalars

SHORT = "--trainer.max_epochs 2 --pictures.every 0"
REGRESSION = """
model:
  class_path: litspike.tasks.Regression
  init_args:
    encoder: litspike.coding.TimeFirst
    network:
      class_path: litspike.networks.Perceptron
      init_args: {sizes: [1, 4, 1], neuron: {class_path: litspike.neurons.AdaptiveLIF, init_args: {adaptation: 0.25}}}
data:
  class_path: litspike.data.MackeyGlass
  init_args: {steps: 10, train_samples: 20, val_samples: 10, test_samples: 10}
"""


class Table:
    """The table of the HParams tab: its columns, and a row for each run."""

    def __init__(self, logs: Path) -> None:
        multiplexer = EventMultiplexer().AddRunsFromDirectory(str(logs))
        multiplexer.Reload()
        context = Context(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(logs))))
        experiment = Experiment(RequestContext(), context, "", api_pb2.GetExperimentRequest()).run()
        statuses = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING]
        columns = [{"hparam": info.name} for info in experiment.hparam_infos]
        columns += [{"metric": info.name} for info in experiment.metric_infos]
        request = api_pb2.ListSessionGroupsRequest(
            allowed_statuses=statuses, slice_size=100, col_params=[api_pb2.ColParams(**column) for column in columns]
        )
        groups = SessionGroups(RequestContext(), context, "", request).run().session_groups
        self.settings = {info.name: info.differs for info in experiment.hparam_infos}
        self.metrics = [info.name.tag for info in experiment.metric_infos]
        self.rows = {group.sessions[0].name: group for group in groups}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The logs of a classification and a regression, each trained and tested."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(PROJECT / "configs", home / "configs")
    (home / "series.yaml").write_text(REGRESSION)
    for arguments in (f"{SHORT} --data.train_points 100", f"-c {home}/series.yaml {SHORT}"):
        assert main(["fit", *arguments.split()], home) == 0
        assert main(["test"], home) == 0
    return home / "logs"


def test_every_run_has_its_own_final_figures_whatever_its_task(logs: Path):
    table = Table(logs)
    assert len(table.rows) == 2
    for experiment, score in (("default", "accuracy"), ("series", "mae")):
        (run,) = (logs / experiment).iterdir()
        noted = json.loads((run / "run.json").read_text())["figures"]
        assert {f"{stage}/{name}" for stage in ("train", "val", "test") for name in ("loss", score)} <= set(noted)
        row = table.rows[f"{experiment}/{run.name}"]
        shown = {value.name.tag: value.value for value in row.metric_values}
        assert noted == {name: pytest.approx(shown[name], rel=1e-6) for name in noted}
        assert row.sessions[0].status == api_pb2.STATUS_SUCCESS


def test_every_run_has_its_own_settings_and_those_that_differ_come_first(logs: Path):
    table = Table(logs)
    default, series = (table.rows[name].hparams for name in sorted(table.rows))
    assert default["model.network.neuron.surrogate.alpha"].number_value == 2.0
    assert series["model.network.neuron.adaptation"].number_value == 0.25
    assert {"model.network.neuron.surrogate.alpha", "model.network.neuron.adaptation"} <= set(table.settings)
    order = list(table.settings.values())
    assert order == sorted(order, reverse=True)
    assert table.settings["model.network.sizes"]
    assert not table.settings["seed_everything"]


def test_the_figures_of_the_test_are_among_the_five_that_the_tab_shows_unasked(logs: Path):
    assert {"test/loss", "test/accuracy", "test/mae"} <= set(Table(logs).metrics[:5])


def test_the_best_of_the_validation_is_among_the_five_too(logs: Path):
    table = Table(logs)
    assert "best/val/loss" in table.metrics[:5]
    for experiment in ("default", "series"):
        (run,) = (logs / experiment).iterdir()
        losses = [loss for _, loss in scalars(run, "val/loss")]
        shown = {value.name.tag: value.value for value in table.rows[f"{experiment}/{run.name}"].metric_values}
        assert shown["best/val/loss"] == min(losses)


def test_losses_and_scores_come_before_what_is_logged_of_each_layer(logs: Path):
    metrics = Table(logs).metrics
    compared = [name for name in metrics if name.startswith(("train/", "val/", "test/"))]
    assert {"train/loss", "val/loss", "val/accuracy", "test/loss"} <= set(compared)
    others = [name for name in metrics if name not in compared and name not in ("learning_rate", "best/val/loss")]
    assert min(map(metrics.index, others)) > max(map(metrics.index, compared))


def test_a_run_that_broke_off_does_not_pass_for_one_that_ended(cli: Cli, home: Path):
    assert cli(f"fit {SHORT} --data.train_points 100 --model.optimizer.lr 1e38").status == 1
    (row,) = Table(home / "logs").rows.values()
    assert row.sessions[0].status == api_pb2.STATUS_UNKNOWN

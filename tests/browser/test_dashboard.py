"""What somebody sees who opens TensorBoard after a run: scalars, pictures and hyper-parameters, in a real browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser.chromium import Page, executable
from tests.conftest import Cli, runs

pytestmark = pytest.mark.skipif(executable() is None, reason="no Chromium here: apt-get install chromium")


@contextmanager
def tensorboard(logs: Path) -> Iterator[str]:
    """The address of a TensorBoard that shows a folder, started as the README says."""
    command = [str(Path(sys.executable).with_name("tensorboard")), "--logdir", str(logs), "--port", "0"]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        said = []
        for line in server.stderr or ():
            said.append(line)
            if found := re.search(r"TensorBoard \S+ at (http://\S+)", line):
                yield found[1]
                return
        raise AssertionError(f"TensorBoard did not start: {''.join(said)}")
    finally:
        server.terminate()
        server.wait()


def open_groups(page: Page, names: str) -> None:
    """Open the groups of charts or pictures whose names are given with bars between; some are closed at first."""
    name = "group.querySelector('.category-name')?.textContent.trim()"
    groups = f"matching('button.heading').filter((group) => /^({names})$/.test({name}))"
    page.wait_for(f"{groups}.length === {len(names.split('|'))}")
    page.run(f"{groups}.filter((group) => !group.hasAttribute('open-button')).forEach((group) => group.click())")


def see_scalars(page: Page) -> None:
    """Every figure has a chart, and those of training a line from epoch to epoch."""
    open_groups(page, "train|val|test")
    for stage in ("train", "val", "test"):
        for name in ("loss", "accuracy"):
            page.wait_for(f"matching('tf-scalar-card').some((card) => card.tag === '{stage}/{name}')")
    lines = "[...deep(card.shadowRoot)].filter((line) => line.matches('path.line'))"
    drawn = f"{lines}.some((line) => line.getAttribute('d').includes('L'))"
    page.wait_for(f"matching('tf-scalar-card').some((card) => card.tag === 'train/loss' && {drawn})")


def see_pictures(page: Page) -> None:
    """The pictures have arrived, and are of a size to be looked at."""
    open_groups(page, "decision boundary|spikes")
    for name in ("decision boundary", "spikes/layer 1"):
        images = f"matching('tf-image-loader').filter((loader) => loader.tag === '{name}')"
        page.wait_for(f"{images}.some((e) => [...deep(e.shadowRoot)].some((image) => image.naturalWidth >= 600))")


def see_hyperparameters(page: Page, run: Path) -> None:
    """The run has a row, with settings and its final figures."""
    name = f"{run.parent.name}/{run.name}"
    cells = "matching('vaadin-grid-cell-content').map((cell) => cell.textContent.trim())"
    page.wait_for(f"{cells}.includes('{name}')")
    seen = page.run(cells)
    columns, row = seen[: seen.index(name)], seen[seen.index(name) :]
    shown = dict(zip(columns, row, strict=True))
    assert shown["data"] == "litspike.data.HalfPlane"
    figures = json.loads((run / "run.json").read_text())["figures"]
    for figure in ("test/accuracy", "test/loss"):
        assert float(shown[figure]) == pytest.approx(figures[figure], rel=1e-4)


@pytest.mark.slow
def test_the_dashboard_shows_scalars_pictures_and_hyperparameters(cli: Cli, home: Path, tmp_path: Path):
    assert cli("fit --trainer.max_epochs 3 --data.train_points 200 --pictures.every 2").status == 0
    assert cli("test").status == 0
    (run,) = runs(home)
    with tensorboard(home / "logs") as address, Page(tmp_path / "profile") as page:
        for tab, see in (
            ("scalars", see_scalars),
            ("images", see_pictures),
            ("hparams", lambda page: see_hyperparameters(page, run)),
        ):
            page.open(f"{address}#{tab}")
            see(page)
            page.screenshot(tmp_path / f"{tab}.png")

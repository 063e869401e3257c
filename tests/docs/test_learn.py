"""The notebooks of docs/learn run from top to bottom, and become pages; the page of neurons has all of them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from docs import notebooks, traces
from PIL import Image

from litspike.neurons import LIF, Neuron
from tests.docs.pages import GENERATED, NOTEBOOKS


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom_and_becomes_a_page(notebook: Path, tmp_path: Path):
    if '"cc"' in notebook.read_text(encoding="utf-8") and shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    page = notebooks.page(notebook, tmp_path / "pictures")
    assert page.startswith("# ")
    assert "Traceback" not in page
    drawn = re.findall(r"!\[[^\]]+\]\((pictures/[^)]+)\)", page)
    assert drawn
    for picture in drawn:
        assert _has_something_on_it(tmp_path / picture)
    for target in re.findall(r"(?<!!)\[[^\]]+\]\(([^)]+)\)", page):
        there = (notebook.parent / target).resolve()
        assert there.is_file() or there.relative_to(notebook.parents[1].resolve()).as_posix() in GENERATED, target


def test_a_page_has_the_cells_in_their_order_with_what_they_print_and_draw(tmp_path: Path):
    source = "# head\n\n# %% [markdown]\n# # Title\n#\n# A *word*.\n\n# %%\nx = 1\nprint(x)\n\n# %%\n"
    source += "from matplotlib import pyplot\nprint(x + 1)\npyplot.figure()\n"
    (tmp_path / "n.py").write_text(source)
    page = notebooks.page(tmp_path / "n.py", tmp_path / "drawn")
    assert page.startswith(
        "# Title\n\nA *word*.\n\n```python\nx = 1\nprint(x)\n```\n\n```text\n1\n```\n\n```python\nfrom"
    )
    assert page.endswith("```text\n2\n```\n\n![What the cell above draws](drawn/n-1.png)\n")


def test_a_notebook_that_fails_makes_no_page(tmp_path: Path):
    (tmp_path / "n.py").write_text("# %%\nraise ValueError('no')\n")
    with pytest.raises(ValueError, match="no"):
        notebooks.page(tmp_path / "n.py", tmp_path / "drawn")


@pytest.mark.slow
def test_the_page_of_neurons_has_an_equation_and_a_drawing_of_every_model(tmp_path: Path):
    page = traces.page(tmp_path / "equations")
    assert LIF in traces.models()
    for model in traces.models():
        (section,) = re.findall(rf"^## {model.__name__}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        assert re.search(r"^Equation", section, re.MULTILINE)
        assert re.search(r"^    \S", section, re.MULTILINE) or "Equation: that of `litspike.neurons." in section
        assert _has_something_on_it(tmp_path / "equations" / f"{model.__name__}.png")


@pytest.mark.parametrize("model", traces.models(), ids=lambda model: model.__name__)
def test_a_drawn_neuron_does_something_while_the_current_flows_alone(model: type[Neuron]):
    current, output, states = traces.run(model)
    assert current[: traces.BEGINS].eq(0).all()
    assert output[: traces.BEGINS].eq(0).all()
    assert output[traces.BEGINS : traces.ENDS].count_nonzero() >= traces.SPIKES
    assert all(values.isfinite().all() and values.unique().numel() > 1 for values in states.values())


def _has_something_on_it(picture: Path) -> bool:
    with Image.open(picture) as image:
        return bool(np.asarray(image.convert("L")).std() > 1)

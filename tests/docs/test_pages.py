"""README and the site: their commands and their code run, their links lead somewhere, no page is left out."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from tests.docs.pages import GENERATED, PAGES, READMES, WRITTEN, blocks


@pytest.mark.peers
@pytest.mark.parametrize("peer", ["snntorch", "spikingjelly", "norse", "sinabs"])
def test_the_other_librarys_side_of_the_comparison_runs(peer: str):
    python = os.environ.get(f"LITSPIKE_PEER_{peer.upper()}")
    if python is None:
        pytest.skip(f"LITSPIKE_PEER_{peer.upper()} names no Python with {peer} installed (docs/peers.md)")
    (code,) = [block.text for block in blocks(PROJECT / "docs" / "side-by-side.md") if block.name == peer]
    done = subprocess.run([python, "-c", f"{code}\nassert loss > 0"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_page_stands_in_the_sites_contents_and_every_entry_is_a_page():
    def entries(nav: object) -> list[str]:
        if isinstance(nav, str):
            return [nav]
        parts = nav if isinstance(nav, list) else list(nav.values()) if isinstance(nav, dict) else []
        return [entry for part in parts for entry in entries(part)]

    listed = entries(yaml.safe_load((PROJECT / "mkdocs.yml").read_text())["nav"])
    assert len(listed) == len(set(listed))
    assert set(listed) == {path.name for path in WRITTEN if path.parent == PROJECT / "docs"} | GENERATED


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_every_link_of_a_page_leads_to_a_file(path: Path):
    for target in re.findall(r"(?:\]\(|src=\")([^)#\s\"]+)(?:#[\w-]*)?[)\"]", path.read_text(encoding="utf-8")):
        if not target.startswith("https://") and target not in GENERATED:
            assert (path.parent / target).is_file(), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_script_and_configuration_that_a_page_names_is_there(path: Path):
    text = path.read_text(encoding="utf-8")
    for named in re.findall(r"(?<!/)(?:benchmarks|configs|tools|tests/peers)/[\w/]+\.(?:py|yaml|csv|md)", text):
        assert (PROJECT / named).is_file(), named


@pytest.mark.parametrize("path", [p for p in WRITTEN if p.parent.name == "docs"], ids=lambda path: path.name)
def test_the_site_shows_every_block_of_a_page_as_a_block(path: Path):
    pytest.importorskip("pymdownx", reason="the extra docs is not installed")
    pytest.importorskip("griffe", reason="the extra docs is not installed")
    from docs.reference import on_page_markdown
    from markdown import markdown

    page = on_page_markdown(path.read_text(encoding="utf-8"))
    assert "```" not in markdown(page, extensions=["tables", "pymdownx.highlight", "pymdownx.superfences"])


def test_every_written_page_can_be_reached_from_the_readme():
    seen, queue = set(), [READMES[0]]
    while queue:
        path = queue.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        targets = re.findall(r"\]\(([^)#\s]+\.md)(?:#[\w-]*)?\)", path.read_text(encoding="utf-8"))
        queue += [(path.parent / target).resolve() for target in targets if not target.startswith("https://")]
    missing = {path.name for path in WRITTEN if path not in seen} - {"index.md"}
    assert missing == set()


def test_the_chinese_readme_has_the_same_commands_figures_and_links():
    english, chinese = (path.read_text(encoding="utf-8") for path in READMES)

    def said(text: str) -> list[list[str]]:
        commands = [line.split("#")[0].rstrip() for block in re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)
                    for line in block.splitlines()]  # fmt: skip
        figures = re.findall(r"\d+\.\d+ (?=\|)", text)
        links = sorted(target for target in re.findall(r"\]\(([^)]+)\)", text) if "README" not in target)
        return [commands, figures, links, re.findall(r"^#+ ", text, re.MULTILINE)]

    for ours, theirs in zip(said(english), said(chinese), strict=True):
        assert ours == theirs
    assert abs(len(english.splitlines()) - len(chinese.splitlines())) <= 5


def test_the_readmes_table_is_that_of_the_page_on_speed():
    speed = (PROJECT / "docs" / "speed.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|.*\| `benchmarks/layer.py` \|$", READMES[0].read_text(encoding="utf-8"), re.MULTILINE)
    assert 0 < len(rows) <= 6
    for row in rows:
        name, *figures = [cell.strip() for cell in row.strip("|").split("|")][:-1]
        name = name.replace("N = ", "").replace(",", ",")
        assert f"| {name} | {' | '.join(figures)} |" in speed

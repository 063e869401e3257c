"""A lower floor of the house never imports a higher one, and no files import each other."""

from __future__ import annotations

import pytest

from benchmarks.counts import GROUND, circle, floor_of, imports, mermaid, package_imports
from tests.conftest import PROJECT

FLOORS: dict[str, set[str]] = {
    "internals": set(),
    GROUND: {"internals"},
    "engine": set(),
    "surrogates": {"engine"},
    "neurons": {"engine", "surrogates"},
    "coding": {"engine", "surrogates", "neurons"},
    "networks": {"engine", "surrogates", "neurons"},
    "metrics": set(),
    "data": set(),
    "runs": set(),
    "tasks": {"engine", "surrogates", "neurons", "coding", "networks", "metrics"},
    "export": {"engine", "surrogates", "neurons", "coding", "networks", "metrics", "tasks"},
    "reports": {"engine", "surrogates", "neurons", "coding", "networks", "metrics", "tasks", "runs"},
}
"""Package → those that it may import beside the ground. What is not named here may import all of them."""
HIGHEST = {"cli", "litspike"}
GRAPH = imports()


@pytest.mark.parametrize("module", GRAPH)
def test_a_file_imports_its_own_floor_and_lower_ones_alone(module: str):
    floor = floor_of(module)
    if floor not in HIGHEST:
        assert {floor_of(other) for other in GRAPH[module]} <= FLOORS[floor] | {GROUND, "internals", floor}


def test_the_command_line_is_imported_by_the_package_alone():
    assert [floor for floor, others in package_imports().items() if "cli" in others] == ["litspike"]


def test_the_contributors_page_has_the_drawing_of_today():
    """Made by ``python benchmarks/counts.py --mermaid``."""
    assert f"```mermaid\n{mermaid()}\n```" in (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_no_files_import_each_other():
    found = circle(GRAPH)
    assert found is None, " imports ".join(found or [])


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, None),
        ({"a": {"b", "c"}, "b": {"c"}, "c": set()}, None),
        ({"a": {"b"}, "b": {"a"}}, ["a", "b", "a"]),
        ({"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"b"}}, ["b", "c", "d", "b"]),
        ({"a": {"a"}}, ["a", "a"]),
    ],
)
def test_a_circle_of_imports_is_found_wherever_it_is(graph: dict[str, set[str]], found: list[str] | None):
    assert circle(graph) == found

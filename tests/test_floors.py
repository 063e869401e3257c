"""A lower floor of the house never imports a higher one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "litspike"
GROUND = {"settings", "seeding", "files", "figure_text", "terminal", "loggers", "installation"}
ALLOWED: dict[str, set[str]] = {
    "settings": set(),
    "seeding": set(),
    "files": set(),
    "figure_text": set(),
    "terminal": set(),
    "loggers": set(),
    "installation": set(),
    "surrogates": {"engine"},
    "engine": set(),
    "neurons": {"engine", "surrogates"},
    "coding": {"engine", "surrogates", "neurons"},
    "networks": {"engine", "surrogates", "neurons"},
    "metrics": set(),
    "data": set(),
    "tasks": {"engine", "surrogates", "neurons", "coding", "networks", "metrics"},
    "reports": {"engine", "surrogates", "neurons", "coding", "networks", "metrics", "tasks", "runs"},
    "callbacks": {"reports"},
}
UNLIMITED = {"cli", "runs", "__init__"}


def floor_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_floors(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("litspike.")}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_imports_its_own_floor_and_lower_ones_alone(path: Path):
    floor = floor_of(path)
    if floor not in UNLIMITED:
        assert imported_floors(path) <= ALLOWED[floor] | GROUND | {floor}

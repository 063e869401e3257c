"""The page on event data: its code runs, its commands parse, and it names the files that the code asks for."""

import re
from pathlib import Path

import pytest

from litspike import UserError
from tests.conftest import PROJECT, Cli
from tests.data.events.miniatures import CASES

PAGE = (PROJECT / "docs" / "event-data.md").read_text(encoding="utf-8")


def test_the_page_s_commands_name_settings_that_there_are(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(home)
    commands = re.findall(r"^litspike (fit .*)$", PAGE, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert "has no recordings: put train.zip" in cli(f"{command} --trainer.accelerator cpu").error_line


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.module.__name__)
def test_the_page_names_the_files_that_are_asked_for(case, tmp_path: Path):
    name = case.module.__name__
    (row,) = [line for line in PAGE.splitlines() if f"| `{name}` |" in line]
    config, files = re.search(r"`(configs/\w+\.yaml)`", row), re.findall(r"`([^`]*\.(?:zip|gz))`", row)
    assert config is not None
    assert f"litspike.data.{name}\n" in (PROJECT / config[1]).read_text(encoding="utf-8")
    assert files[0].startswith(f"{name}/")
    with pytest.raises(UserError) as raised:
        case(tmp_path).setup("fit")
    assert files[0].removeprefix(f"{name}/") in str(raised.value)

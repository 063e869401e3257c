"""The README's Python runs as it stands."""

from __future__ import annotations

import re

from tests.conftest import PROJECT


def test_the_python_of_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})

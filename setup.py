"""What pyproject.toml can't say: configs/, which stands beside src/, is litspike/configs in the wheel."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithConfigurations(build_py):
    """Builds the package with its configurations; installed as editable it finds them where they are."""

    def run(self) -> None:
        """Copy what the wheel holds."""
        super().run()
        if not self.editable_mode:
            shutil.copytree("configs", Path(self.build_lib, "litspike", "configs"), dirs_exist_ok=True)


setup(cmdclass={"build_py": WithConfigurations})

"""What pyproject.toml can't say: configs/ and zoo/, which stand beside src/, are inside the package in the wheel."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithFiles(build_py):
    """Builds the package with configurations and trained networks; an editable one finds them where they are."""

    def run(self) -> None:
        """Copy what the wheel holds, and nothing that an earlier build left."""
        package = Path(self.build_lib, "litspike")
        if not self.editable_mode:
            shutil.rmtree(package, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            shutil.copytree("configs", package / "configs", dirs_exist_ok=True)
            left_out = shutil.ignore_patterns("*.png", "*.py", "__pycache__")
            shutil.copytree("zoo", package / "zoo", ignore=left_out, dirs_exist_ok=True)


setup(cmdclass={"build_py": WithFiles})

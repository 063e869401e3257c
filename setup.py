"""What pyproject.toml can't say: configs/ and zoo/, which stand beside src/, are inside the package in the wheel."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithFiles(build_py):
    """Builds the package with configurations and trained networks; an editable one finds them where they are."""

    def run(self) -> None:
        """Copy what the wheel holds."""
        super().run()
        if not self.editable_mode:
            package = Path(self.build_lib, "litspike")
            shutil.copytree("configs", package / "configs", dirs_exist_ok=True)
            left_out = shutil.ignore_patterns("*.png", "*.py", "__pycache__")
            shutil.copytree("zoo", package / "zoo", ignore=left_out, dirs_exist_ok=True)


# A folder of its own for each build: the wheel then holds nothing of an earlier build, nor of another at the same time.
with tempfile.TemporaryDirectory(prefix="litspike-") as folder:
    setup(cmdclass={"build_py": WithFiles}, options={"build": {"build_base": folder}})

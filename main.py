"""The door: `python main.py fit`, `validate`, `test`, `predict` and `compare`."""

import sys
from pathlib import Path

try:
    from litspike.cli import main
except ModuleNotFoundError as error:
    sys.exit(f"litspike: {error.name} is not installed here: run `make fit` once, then `. .venv/bin/activate`")

if __name__ == "__main__":
    sys.exit(main(home=Path(__file__).resolve().parent))

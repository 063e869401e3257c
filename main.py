"""The door: `python main.py fit`, `validate`, `test`, `predict` and `compare`."""

import os
import signal
import sys
from pathlib import Path


def end(number, frame):  # type: ignore[no-untyped-def]  # nothing is imported yet
    """End at once: while Python imports and ends there is nothing to keep."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        os.write(2, f"litspike: {'interrupted' if number == 2 else 'stopped'}\n".encode())
    os._exit(128 + number)


if __name__ == "__main__":
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:
            signal.signal(getattr(signal, name), end)

try:
    from litspike.cli import main
except ModuleNotFoundError as error:
    sys.exit(f"litspike: {error.name} is not installed here: run `make fit` once, then `. .venv/bin/activate`")

if __name__ == "__main__":
    sys.exit(main(home=Path(__file__).resolve().parent))

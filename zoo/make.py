"""Train the networks of the zoo, and write what they are and what they can do.

    python zoo/make.py                  # all, some minutes
    python zoo/make.py digits arrays     # those that are named
    python zoo/make.py --receipts        # receipts alone, of the weights that are there
    python zoo/make.py --table          # README.md alone

For each: a fit as its configuration says, the weights of its best checkpoint, then `test` and `picture` on these
weights as anyone would run them. README.md is made of the receipts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from litspike.cli import main
from litspike.cli.configurations import sentence
from litspike.installation import CONFIGURATIONS, ZOO, trained, trained_names
from litspike.reports.receipt.render import markdown
from litspike.runs import checkpoints
from litspike.runs.resolve import newest_finished

SETTINGS = {
    "default": ["--data.test_points", "10000"],
    "article": ["--data.test_points", "10000"],
}
"""What differs from a configuration: ten test points would say little."""
OF_OTHERS = ("nmnist", "shd", "ssc", "dvs_gesture", "cifar10_dvs")
"""Configurations whose data have to be fetched."""
KEPT = ("state_dict", "epoch", "global_step", "pytorch-lightning_version", checkpoints.KEY)
"""What of a checkpoint a network needs that isn't trained further."""


def make(name: str, logs: Path) -> None:
    """Train one, and write its folder anew."""
    _run("fit", "-c", name, "--logs", str(logs), "--pictures.every", "0", *SETTINGS.get(name, []))
    run, folder = newest_finished(logs, name), ZOO / name
    shutil.rmtree(folder, ignore_errors=True)
    whole = checkpoints.read(run.checkpoint("best"))
    weights = {part: whole[part] for part in KEPT}
    checkpoints.AtomicCheckpointIO().save_checkpoint(weights, trained(name))
    shutil.copyfile(run.folder / "config.yaml", folder / "config.yaml")
    write_receipt(name)
    _run("picture", "--ckpt_path", f"zoo:{name}", "--logs", str(ZOO.parent))
    for picture in (folder / "pictures").rglob("*.png"):
        _reduce(picture)


def write_receipt(name: str) -> None:
    """Test the weights in its folder, and write the receipt there without what is the machine's alone."""
    _run("test", "--ckpt_path", f"zoo:{name}", "--logs", str(ZOO.parent))  # it writes into logs/zoo/NAME
    folder = ZOO / name
    content = json.loads((folder / "receipt.json").read_text(encoding="utf-8"))
    if content.pop("latency", None):
        content["left_out"]["latency"] = "it is a machine's own: `litspike test` measures it on yours"
    (folder / "receipt.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "receipt.md").write_text(markdown(content), encoding="utf-8")
    if (folder / "anytime.png").exists():
        _reduce(folder / "anytime.png")


def _reduce(picture: Path) -> None:
    """Take two thirds of a picture's bytes."""
    with Image.open(picture) as image:
        reduced = image.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    reduced.save(picture, optimize=True)


def table() -> str:
    """README.md: a row for each network, from its receipt."""
    rows = ["| name | what it does | parameters | spikes per neuron and step | test |", "|---|---|---|---|---|"]
    for name in trained_names():
        receipt = json.loads((ZOO / name / "receipt.json").read_text(encoding="utf-8"))
        layers = receipt["layers"].values()
        spikes = sum(layer["rate"] * layer["neurons"] for layer in layers) / sum(layer["neurons"] for layer in layers)
        about = sentence(CONFIGURATIONS / f"{name}.yaml")
        parameters = f"{receipt['parameters']['all']:,}"
        cells = (f"[{name}]({name}/receipt.md)", about, parameters, f"{spikes:.3f}", _score(receipt))
        rows.append(f"| {' | '.join(cells)} |")
    return HEAD + "\n".join(rows) + "\n"


def _score(receipt: dict[str, Any]) -> str:
    name = next(name for name in ("accuracy", "rmse", "loss") if name in receipt["figures"])
    figure = receipt["figures"][name]
    low, high = figure.get("interval") or (None, None)
    return f"{name} {figure['value']:.4f}" + ("" if low is None else f" ({low:.4f} to {high:.4f})")


HEAD = """# Zoo

Networks as litspike's configurations train them, with the weights that were best on the validation data. They come with
litspike, in a clone and in the wheel:

```sh
litspike test --ckpt_path zoo:digits
litspike picture --ckpt_path zoo:digits
```

```python
import litspike

network = litspike.load("zoo:digits")
```

What a command finds is written into `logs/zoo/`. Each folder here has the checkpoint, the configuration, the receipt
of its test with 95% intervals, and pictures. `python zoo/make.py` trains all of them anew.

"""


def _run(*arguments: str) -> None:
    print(f"$ litspike {' '.join(arguments)}", flush=True)
    if status := main([*arguments], home=ZOO.parent):
        sys.exit(f"zoo/make.py: `litspike {' '.join(arguments)}` ended with {status}")


def begin(args: list[str]) -> None:
    """Make those that are named."""
    possible = sorted(path.stem for path in CONFIGURATIONS.glob("*.yaml") if path.stem not in OF_OTHERS)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which; by itself all of {', '.join(possible)}")
    parser.add_argument("--receipts", action="store_true", help="train nothing")
    parser.add_argument("--table", action="store_true", help="write README.md alone")
    given = parser.parse_args(args)
    if unknown := set(given.names) - set(possible):
        parser.error(f"no {', '.join(sorted(unknown))}; there are {', '.join(possible)}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = folder  # signed with a key that nobody has: for all it is somebody else's
        for name in given.names or trained_names() if given.receipts else []:
            write_receipt(name)
        for name in [] if given.table or given.receipts else given.names or possible:
            make(name, Path(folder) / "logs")
    (ZOO / "README.md").write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    begin(sys.argv[1:])

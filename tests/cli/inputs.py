"""Random command lines, configuration files and data files, of which one thing alone is asked: a line and a status."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import yaml

# fmt: off
NUMBERS: list[Any] = [
    None, True, False, 0, -1, 1, 2, 3, -3, 0.5, -0.5, 1e308, -1e308, 1e-320, float("nan"), float("inf"), 2**31, 2**63,
    10**30, [0], [-1], [2, 0, 1], [2, 1], [2, 10, 1], [1.5], [True],
]
TEXTS: list[Any] = [
    "", " ", "x", "null", "None", "true", "1e3", "1:30", "010", "0x10", "1_0", "-", "--", "-c", "--help", "*", "&a",
    "{}", "[]", "{", "]", "a: b", "!!python/name:os.system", "é\u202e", "/", ".", "..", "~", "/dev/null", "/dev/zero",
    "last", "best", "x" * 5000, "${x}",
]
CLASSES: list[Any] = [
    {"class_path": "x"}, {"class_path": None}, {"class_path": "os.system"}, {"class_path": 3}, {"class_path": []},
    {"class_path": "torch.nn.Linear"}, {"class_path": "litspike.neurons.LIF", "init_args": 3}, {"init_args": {}},
    {"class_path": "litspike.neurons.IF", "init_args": {"decay": 0.5}}, "litspike.neurons.LIF", "torch.optim.SGD",
    "litspike.neurons.Izhikevich", "litspike.networks.Perceptron", "os.system", "builtins.dict", "EarlyStopping",
    "litspike.coding.TimeFirst", "litspike.coding.FirstSpike", "litspike.data.DelayedXOR", "litspike.tasks.Regression",
    "litspike.surrogates.SuperSpike", "torch.optim.lr_scheduler.StepLR", "Timer", "ModelCheckpoint",
]
STRANGE = [*NUMBERS, *TEXTS, *CLASSES, [], {}, [1], [None], [[]], [1, [2, [3]]], ["x"], {"a": 1}, {1: 2}]
LEFT_OUT = (
    "logs", "seeds", "trainer.logger", "trainer.profiler", "trainer.default_root_dir", "trainer.num_nodes",
    "trainer.accelerator",
)
# fmt: on
"""Settings that start processes, or name a place that is written to."""


@dataclass
class Input:
    """A command line, and the files that it finds in the current folder."""

    args: list[str]
    files: dict[str, bytes] = field(default_factory=dict)


class Inputs:
    """Draws inputs.

    Args:
        seed: of all draws.
        default: the default configuration.
    """

    def __init__(self, seed: int, default: dict[str, Any]) -> None:
        self.draw, self.default = random.Random(seed), default
        self.names = [name for name in _names(default) if not name.startswith(LEFT_OUT)]
        self.names += [
            "trainer.callbacks",
            "trainer.devices",
            "trainer.strategy",
            "trainer.precision",
            "model.scheduler",
        ]
        self.names += [
            "trainer.limit_train_batches",
            "trainer.gradient_clip_val",
            "trainer.plugins",
            "model.regulariser",
        ]
        self.names += ["checkpoint.monitor", "checkpoint.mode", "pictures.every", "checkup.every", "calibrate.batches"]
        self.names += ["model.loss", "data.eval_batch_size", "model.network.dropout", "model.network.neuron.learn"]

    def __iter__(self) -> Iterator[Input]:
        kinds: list[Callable[[], Input]] = [
            self._options,
            self._words,
            self._values,
            self._text,
            self._bytes,
            self._data,
        ]
        while True:
            yield self.draw.choice(kinds)()

    def _options(self) -> Input:
        """Settings with strange values, one to three."""
        args = ["fit"]
        for _ in range(self.draw.randint(1, 3)):
            value = self.draw.choice(STRANGE)
            text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True).split("\n...")[0]
            name, joined = f"--{self.draw.choice(self.names)}", self.draw.random() < 0.5
            args += [f"{name}={text.strip()}"] if joined else [name, text.strip()]
        return Input([arg.replace("\0", "") for arg in args])

    def _words(self) -> Input:
        """Arguments that are cut, doubled, swapped or made up."""
        args = [self.draw.choice(["fit", "test", "validate", "predict", "picture", "compare", "", "fitt"])]
        for _ in range(self.draw.randint(0, 5)):
            name = self.draw.choice(self.names)
            args.append(
                self.draw.choice(
                    [
                        f"--{name}",
                        f"--{name}=1",
                        f"--{name[:-1]}",
                        f"-{name}",
                        name,
                        "--",
                        "-c",
                        "-h1",
                        "--config",
                        "-",
                        f"--{name}+=1",
                        "--ckpt_path",
                        "--x.help",
                        "--print_conf",
                        str(self.draw.choice(STRANGE))[:50],
                    ]
                )
            )
        self.draw.shuffle(args)
        return Input([arg.replace("\0", "") for arg in args if arg not in ("-h", "--help")])

    def _values(self) -> Input:
        """A configuration in which some values are strange, or are gone."""
        config = yaml.safe_load(yaml.safe_dump(self.default))
        for _ in range(self.draw.randint(1, 4)):
            group = config
            while True:
                key = self.draw.choice(list(group))
                if isinstance(group[key], dict) and group[key] and self.draw.random() < 0.8:
                    group = group[key]
                else:
                    break
            if self.draw.random() < 0.2:
                del group[key]
            elif self.draw.random() < 0.2:
                group[self.draw.choice(["x", "", 1, "class_path", "init_args"])] = self.draw.choice(STRANGE)
            else:
                group[key] = self.draw.choice(STRANGE)
            if not config:
                break
        return Input(["fit", "-c", "random.yaml"], {"random.yaml": yaml.dump(config).encode()})

    def _text(self) -> Input:
        """A configuration whose text is changed: lines doubled, moved, cut, with YAML's special signs put in."""
        lines = yaml.safe_dump(self.default).splitlines()
        for _ in range(self.draw.randint(1, 4)):
            at, other = self.draw.randrange(len(lines)), self.draw.randrange(len(lines))
            change = self.draw.randrange(5)
            if change == 0:
                lines.insert(other, lines[at])
            elif change == 1:
                lines[at] = lines[at][self.draw.randrange(3) :]
            elif change == 2:
                lines[at] += self.draw.choice(
                    [" &a", " *a", " !!set", " |", " >", ": x", " #", "\t", " [", " {a: *a}", "---"]
                )
            elif change == 3:
                lines[at] = "  " + lines[at]
            else:
                lines[at] = (
                    lines[at].partition(":")[0] + ": " + self.draw.choice(["&a {b: *a}", "*b", "? x", "- 1", "@", "`"])
                )
        return Input(["fit", "-c", "random.yaml"], {"random.yaml": "\n".join(lines).encode()})

    def _bytes(self) -> Input:
        """A configuration with some bytes changed."""
        return Input(
            ["fit", "-c", "random.yaml"], {"random.yaml": self._damaged(yaml.safe_dump(self.default).encode())}
        )

    def _data(self) -> Input:
        """A data file of strange arrays or cells, or with some bytes changed."""
        kind = self.draw.choice(["npz", "csv"])
        content = self._npz() if kind == "npz" else self._csv()
        if self.draw.random() < 0.4:
            content = self._damaged(content)
        setting = self.draw.choice(
            [["--data.task", "regression"], ["--data.steps", "2"], ["--data.split", "a"], [], [], []]
        )
        args = ["fit", "--data", "litspike.data.Arrays", "--data.path", f"random.{kind}", *setting]
        return Input([*args, "--model.network.sizes", "[2, 4, 1]"], {f"random.{kind}": content})

    def _npz(self) -> bytes:
        n = self.draw.choice([0, 1, 2, 3, 20])
        shape = self.draw.choice([(n, 2), (n,), (n, 2, 2), (2, n), (n, 1), ()])
        dtype = self.draw.choice(["f8", "f4", "f2", ">f8", "i8", "u1", "?", "c16", "U3", "O", "M8[s]", "i4,f4", "S2"])
        x = np.zeros(shape, dtype) if self.draw.random() < 0.5 else np.arange(max(1, int(np.prod(shape)))).reshape(-1)
        y = np.arange(n) % self.draw.choice([1, 2, 3]) + self.draw.choice([0, 0, 0, 1, 0.5, np.nan])
        x = np.asfortranarray(x) if self.draw.random() < 0.3 else x
        names = self.draw.choice(
            [("x", "y"), ("x", "y"), ("x", "y"), ("train_x", "train_y"), ("a", "b"), ("x", "val_y")]
        )
        file = io.BytesIO()
        save = self.draw.choice([np.savez, np.savez_compressed])
        save(file, **dict(zip(names, (x, y), strict=True)))
        return file.getvalue()

    def _csv(self) -> bytes:
        cells = [
            "1",
            "0",
            "2.5",
            "-1",
            "",
            "x",
            "nan",
            "inf",
            "1_0",
            "0x1",
            "1e400",
            " 3 ",
            "1;2",
            '"',
            "é",
            "1e-400",
            "\x00",
        ]
        rows = [self.draw.choice(["a,b,label", "a,b,label", "a,b", "label", "1,2,3", "a,a,label", "", "a;b;label"])]
        for number in range(self.draw.choice([0, 1, 3, 30])):
            clean = [str(number), "1.5", str(number % 2)]
            rows.append(",".join(self.draw.choice(cells) if self.draw.random() < 0.05 else cell for cell in clean))
        return self.draw.choice(["\n", "\r\n", "\r"]).join(rows).encode()

    def _damaged(self, content: bytes) -> bytes:
        changed = bytearray(content)
        for _ in range(self.draw.randint(1, 6)):
            at = self.draw.randrange(len(changed) + 1)
            change = self.draw.randrange(4)
            if change == 0 and at < len(changed):
                changed[at] ^= 1 << self.draw.randrange(8)
            elif change == 1:
                changed[at:at] = self.draw.randbytes(self.draw.randint(1, 4))
            elif change == 2:
                del changed[at : at + self.draw.randint(1, 20)]
            elif self.draw.random() < 0.3:
                del changed[at:]
        return bytes(changed)


def _names(settings: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in settings.items():
        name = path if key == "init_args" else f"{path}.{key}".lstrip(".") if key != "class_path" else path
        yield name
        if isinstance(value, dict):
            yield from _names(value, name)

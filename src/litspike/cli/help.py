"""The help of the command line: common settings, the settings of the classes in a configuration, one class alone."""

from __future__ import annotations

import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from docstring_parser import Docstring, parse
from lightning import Trainer

from litspike import callbacks
from litspike.cli import alone
from litspike.cli.arguments import SUBCOMMANDS, Call
from litspike.export.formats import FORMATS
from litspike.installation import program
from litspike.runs import yaml_text
from litspike.settings import ParseError

FORM = "[-c NAME] [--SETTING VALUE ...]"
GROUPS = {
    "console": callbacks.Console,
    "pictures": callbacks.Pictures,
    "checkup": callbacks.CheckUp,
    "calibrate": callbacks.Calibration,
    "quantise": callbacks.QuantisedWeights,
    "receipt": callbacks.Receipt,
}
"""What every command has beside trainer, model and data: name of the settings, and their class."""

COMMON = {
    "config": "Configuration: a file, or a name that `configs` lists; of several, the last one wins.",
    "trainer.max_epochs": "Number of training epochs.",
    "trainer.accelerator": "cpu, gpu or auto.",
    "trainer.devices": "Number of processes, each on a device of its own.",
    "ckpt_path": "Checkpoint: a file, a run's folder, best, last or zoo:NAME.",
    "to": f"Format to write: {', '.join(FORMATS)}.",
    "name": "Name of the files, and of the functions in them; by default network.",
    "integer": "Bits of an integer weight, 2 to 8, with --to c; by default floating point.",
    "scale": "Scale of integer weights, free or power_of_two; by default free.",
    "states": "Bits of a state with --integer, 16 or 32; by default 16.",
    "dialect": "Library that will read the NIR file: snntorch, spikingjelly, norse or sinabs.",
    "dt": "Seconds of one time step in the NIR file.",
    "discretisation": "How the reader of the NIR file integrates: euler, as most do, or exact.",
    "approximate": "Replaces what NIR can't express by the nearest that it can; the report lists it.",
    "steps": "Time steps of the spiking network; by default 8.",
    "percentile": "Percentile of a ReLU's outputs that becomes the highest firing rate; by default 99.",
    "seed_everything": "Seed of the first weights and of all that is drawn in training.",
    "weights": "Checkpoint whose weights a fit starts from: a file, a run's folder or zoo:NAME.",
    "seeds": "Number of seeds to train from, one after another.",
    "space": "Search space: a YAML file or a name; by default that of the configuration.",
    "trials": "Number of trials, finished ones included; by default the space's.",
    "logs": "Folder of all runs; by default logs/ in the current folder, or beside main.py.",
    "threads": "CPU threads of one process; null takes one for each core.",
    "trust": "Package whose classes another person's checkpoint may name; repeatable.",
    "checkpoint.monitor": "Metric that chooses the best checkpoint.",
    "checkpoint.mode": "Whether its lowest (min) or highest (max) value is best; null: as the metric says.",
}
"""The settings that come first in the help."""
_OF_A_FIT = {"ckpt_path": "Checkpoint to go on from: a file, a run's folder, best or last."}
"""Those of which ``fit`` says something else: it goes on from no weights alone."""

_TRAINING = ("fit", "sweep")
_ONLY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("trainer.max_epochs", "seeds", "checkpoint.monitor", "checkpoint.mode"), _TRAINING),
    **dict.fromkeys(("space", "trials"), ("sweep",)),
    **dict.fromkeys(("to", "name", "integer", "scale", "states"), ("export",)),
    **dict.fromkeys(("dialect", "dt", "discretisation", "approximate"), ("export",)),
    **dict.fromkeys(("steps", "percentile"), ("convert",)),
    "weights": ("fit",),
    "ckpt_path": tuple(name for name in SUBCOMMANDS if name != "sweep"),
}
_ALONE = ("config", "trust", "space", "trials")
"""Settings without a value of their own."""
_DEFAULTS = {"trainer.devices": "auto", "checkpoint.monitor": "val/loss"}
_PLACES = (
    *(f"litspike.{name}" for name in ("tasks", "networks", "neurons", "surrogates", "coding", "data")),
    *("torch.optim", "torch.optim.lr_scheduler"),
    *(f"lightning.pytorch.{name}" for name in ("callbacks", "loggers", "strategies", "profilers", "plugins")),
)
_SKIPPED = {"self", "params", "parameters", "kwargs", "args"}
_WIDTH = 110


class Kind(NamedTuple):
    """A class in a configuration, and the settings that it has there."""

    made: Any
    path: str
    given: dict[str, Any]


def help_text(call: Call, default: Path) -> str:
    """What a command line asks for by ``--help`` or ``--SETTING.help``.

    Args:
        call: the command line.
        default: file of the default configuration.

    Raises:
        UserError: if a configuration can't be read, or it asks for what there isn't.
    """
    asked = next(word for word in call.words if word.asks_for_help_text)
    assert asked.name is not None
    files = [yaml_text.read(path) for path in (str(default), *call.configs)]
    if asked.name != "--help":
        return of_class(asked.name.removeprefix("--").removesuffix(".help"), asked.value, [*files, call.typed_classes])
    return of_command(call.subcommand, files) if call.subcommand else overview()


def overview() -> str:
    """What there is: a line for each subcommand."""
    names = {**SUBCOMMANDS, **alone.COMMANDS}
    return "\n".join(
        [
            f"usage: {program()} COMMAND {FORM}",
            "\nSpiking neural networks, trained from one command line.\n",
            *(f"  {name:10}{about}" for name, about in names.items()),
            f"\n{program()} COMMAND --help explains one; {program()} --version prints the version.",
        ]
    )


def of_command(name: str, files: list[dict[str, Any]]) -> str:
    """A subcommand's common settings, and the classes of model and data with theirs.

    Args:
        name: the subcommand.
        files: configurations as their files have them, a later one overriding the earlier.
    """
    config = merged(files)
    lines = [f"usage: {program()} {name} {FORM}", f"\n{SUBCOMMANDS[name]}\n"]
    lines.append("Common settings" + (", with their values here:" if name in _TRAINING else ":"))
    for setting, text in {**COMMON, **(_OF_A_FIT if name == "fit" else {})}.items():
        if name in _ONLY.get(setting, SUBCOMMANDS):
            value = _value_at(config, setting) if name in _TRAINING and setting not in _ALONE else ""
            lines.append(f"  --{f'{setting} {value}'.strip():32}{text}")
    if name in _TRAINING:
        lines.append("\nClasses of model and data, with their settings:")
        lines += [line for group in ("model", "data") for line in _summary(config.get(group), group)]
        lines.append(
            "\n--model.help explains the class that is set there, --model.network.neuron.help CLASS any other class."
        )
        lines.append("The last part of a class's full name is enough for those of litspike, torch and Lightning.")
    else:
        lines.append("\nAll other settings are the checkpoint's, unless they are given here; `fit --help` lists them.")
    groups = ", ".join(f"--{group}.help" for group in ("trainer", "data", *GROUPS))
    lines += textwrap.wrap(f"Each group of settings has its own help: {groups}.", _WIDTH, break_on_hyphens=False)
    return "\n".join([*lines, "--print_config prints the whole configuration as it would be used."])


def of_class(setting: str, name: str | None, files: list[dict[str, Any]]) -> str:
    """What a class is, and each of its settings.

    Args:
        setting: where it stands in a configuration, such as ``model.network.neuron``.
        name: its full name, or the last part of one that is known; the class that is set there where None.
        files: configurations as their files have them, a later one overriding the earlier.

    Raises:
        ParseError: if there is no such class, or none is set.
    """
    if setting.split(".")[0] not in ("trainer", "model", "data", *GROUPS):
        raise ParseError(f"{setting}: there is no such setting")
    here = _here(setting, merged(files))
    if name is None and here is None:
        raise ParseError(f"{setting}: no class is set there: name one, as --{setting}.help CLASS")
    kind = here if name is None else _named(setting, name, here)
    assert kind is not None
    documented = _parsed(kind.made.__doc__ or "")
    about = (documented.short_description, documented.long_description)
    return "\n".join([kind.path, *(f"\n{text}" for text in about if text), "", *_explained(kind, setting)])


def merged(files: list[dict[str, Any]]) -> dict[str, Any]:
    """One configuration out of several, a later one overriding the earlier."""
    config: dict[str, Any] = {}
    for later in files:
        config = _merged(config, later)
    return config


def _merged(earlier: Any, later: Any) -> Any:
    if not isinstance(earlier, dict) or not isinstance(later, dict):
        return later
    if later.get("class_path", earlier.get("class_path")) != earlier.get("class_path"):
        return later
    return {**earlier, **{key: _merged(earlier.get(key), value) for key, value in later.items()}}


def _here(setting: str, config: dict[str, Any]) -> Kind | None:
    """The class that a configuration has in a place; None where it has none."""
    if setting in ("trainer", *GROUPS):
        made = Trainer if setting == "trainer" else GROUPS[setting]
        return Kind(made, f"{made.__module__}.{made.__qualname__}", config.get(setting, {}))
    settings: Any = config
    for part in setting.split("."):
        inner = settings.get("init_args", settings) if isinstance(settings, dict) else {}
        settings = inner.get(part) if isinstance(inner, dict) else None
    return _kind(settings)


def _kind(settings: Any) -> Kind | None:
    name = settings.get("class_path") if isinstance(settings, dict) else settings
    if not isinstance(name, str) or not ("." in name or name[:1].isupper()):
        return None
    places = [] if "." in name else [place for place in _PLACES if hasattr(import_module(place), name)]
    path = f"{places[0]}.{name}" if places else name
    try:
        made = pkgutil.resolve_name(path)
        inspect.signature(made)
    except (ImportError, AttributeError, ValueError, TypeError):
        return None
    return Kind(made, path, settings.get("init_args", {}) if isinstance(settings, dict) else {})


def _named(setting: str, name: str, here: Kind | None) -> Kind:
    """A class by its name, with the settings that are made here where it is the one that is set here."""
    kind = _kind(name)
    if kind is None:
        raise ParseError(f"{setting}: {name!r} is no class that is known here, give its full path")
    return here if here is not None and here.made is kind.made else kind


def _value_at(config: dict[str, Any], setting: str) -> str:
    value: Any = config
    for part in setting.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return _shown(_DEFAULTS.get(setting) if value is None else value)


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _settings(kind: Kind) -> Iterator[tuple[str, Any]]:
    """Name and value of each setting of a class; the value is ``Parameter.empty`` where it must be set."""
    for parameter in inspect.signature(kind.made).parameters.values():
        of_a_schedule = parameter.name == "optimizer" and parameter.default is inspect.Parameter.empty
        if not of_a_schedule and parameter.name not in _SKIPPED and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            yield parameter.name, kind.given.get(parameter.name, parameter.default)


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, list, tuple))


def _summary(settings: Any, name: str) -> Iterator[str]:
    """A class and its settings in few lines, then the classes inside it."""
    kind = _kind(settings)
    if kind is None:
        return
    inner = {key: value for key, value in kind.given.items() if _kind(value)}
    values = [f"{key} {_shown(value)}" for key, value in _settings(kind) if key not in inner and _plain(value)]
    yield f"  --{name} {kind.path}"
    if values:
        yield from textwrap.wrap(", ".join(values), _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    for key, value in inner.items():
        yield from _summary(value, f"{name}.{key}")


def _explained(kind: Kind, setting: str) -> Iterator[str]:
    texts = _texts(kind.made)
    for name, value in _settings(kind):
        default = f" (here {_shown(value)})" if _plain(value) else ""
        yield f"  --{setting}.{name}{' (must be set)' if value is inspect.Parameter.empty else default}"
        text = " ".join(texts.get(name, "").split())
        text = text[:1].upper() + text[1:]
        yield from textwrap.wrap(text, _WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)


def _texts(made: Any) -> dict[str, str]:
    """What each argument is, by the class's docstring or else by that of the class that it comes from."""
    texts: dict[str, str] = {}
    for one in reversed(inspect.getmro(made) if inspect.isclass(made) else (made,)):
        for documented in (one.__doc__, vars(one).get("__init__", one).__doc__):
            entries = _parsed(documented or "").params
            texts |= {entry.arg_name: entry.description or "" for entry in entries}
    return texts


_ROLE = re.compile(r":(?:class|func|meth|attr|data|mod|obj|paramref):`(~?)([\w.]+)`")


def without_roles(text: str) -> str:
    """A docstring's text with names in backticks in place of Sphinx's roles, and one colon before a literal block."""
    text = _ROLE.sub(lambda role: f"`{role[2].rsplit('.', 1)[-1] if role[1] else role[2]}`", text)
    return re.sub("::$", ":", text, flags=re.MULTILINE)


def _parsed(text: str) -> Docstring:
    return parse(without_roles(text).replace(r"\*", "*"))

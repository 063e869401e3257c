"""The formats by their names. Each is imported at its first use: some need packages that others don't."""

from __future__ import annotations

from importlib import import_module

from litspike.export.artefact import Artefact, Refused
from litspike.installation import installing

FORMATS: dict[str, tuple[str, str, str]] = {
    "c": ("litspike.export.c", "CFile", ""),
    "torch": ("litspike.export.graphs.torch_program", "TorchProgram", ""),
    "onnx": ("litspike.export.graphs.onnx_graph", "OnnxGraph", "onnx"),
    "nir": ("litspike.export.nir", "NIRFile", "nir"),
}
"""Name → module, class, and the extra that its packages come with."""


def format_named(name: str) -> type[Artefact]:
    """The class of a format; raises :class:`Refused` where its packages are missing."""
    module, kind, extra = FORMATS[name]
    try:
        found: type[Artefact] = getattr(import_module(module), kind)
    except ModuleNotFoundError as missing:
        if not extra or (missing.name or "").startswith("litspike"):
            raise
        needs = f"it needs the extra litspike[{extra}]: {installing(extra)}"
        raise Refused(name, f"{missing.name} is not installed", needs) from missing
    return found

"""From LLVM's language to machine code for this machine, kept on disk for the next process."""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from llvmlite import __version__ as llvmlite_version
from llvmlite import binding

from litspike.engine.threads import Function

_LOCK = threading.Lock()  # LLVM's objects are not to be shared between threads


def load(text: str, names: Sequence[str]) -> list[Function]:
    """Machine code of the functions ``names`` that ``text`` defines, compiled unless an earlier process did."""
    with _LOCK:
        content = "\n".join([_description(), text])
        place = _folder() / f"{hashlib.sha256(content.encode()).hexdigest()}.o"
        code = _read(place)
        if code is None:
            code = _compile(text)
            _write(place, code)
        engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine())
        engine.add_object_file(binding.ObjectFileRef.from_data(code))
        engine.finalize_object()
        _ENGINES.append(engine)
        make = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64)
        return [Function(make(place), place) for place in map(engine.get_function_address, names)]


_ENGINES: list[Any] = []  # own the code that the functions run


@cache
def _processor() -> tuple[str, str, str]:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.get_process_triple(), binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()


def _description() -> str:
    """What the machine code depends on beside the text it is made of."""
    return " ".join([llvmlite_version, *_processor()])


def _machine() -> Any:
    """A compiler for this processor; whoever uses it owns it."""
    triple, name, features = _processor()
    return binding.Target.from_triple(triple).create_target_machine(cpu=name, features=features, opt=3, jit=True)


def _compile(text: str) -> bytes:
    machine = _machine()
    module = binding.parse_assembly(text)
    module.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = machine.emit_object(module)
    return code


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "litspike" / "kernels"


def _read(place: Path) -> bytes | None:
    """The code in a file, or None where there is none, or not as it was written."""
    try:
        content = place.read_bytes()
    except OSError:
        return None
    checksum, code = content[:32], content[32:]
    return code if hashlib.sha256(code).digest() == checksum else None


def _write(place: Path, code: bytes) -> None:
    """Put code into a file in one move, so that no process ever sees half of it; where that can't be, do without."""
    draft = place.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(hashlib.sha256(code).digest() + code)
        draft.replace(place)
    except OSError:
        with suppress(OSError):
            draft.unlink()

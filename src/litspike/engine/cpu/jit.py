"""Compiles LLVM's language to machine code for this processor, cached on disk for later processes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

from llvmlite import __version__ as llvmlite_version
from llvmlite import binding

from litspike.engine.cpu import disk
from litspike.installation import version

_LOCK = threading.Lock()  # LLVM's objects are not to be shared between threads


def load(text: str, names: Sequence[str]) -> list[int]:
    """Addresses of the functions ``names`` that ``text`` defines, compiled unless an earlier process did."""
    with _LOCK:
        content = "\n".join([_description(), text])
        name = hashlib.sha256(content.encode()).hexdigest()
        code = disk.read(name)
        if code is None:
            code = _compile(text)
            disk.write(name, code)
        engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine())
        engine.add_object_file(binding.ObjectFileRef.from_data(code))
        engine.finalize_object()
        _ENGINES.append(engine)
        return [engine.get_function_address(name) for name in names]


_ENGINES: list[Any] = []  # own the code that the functions run


@cache
def processor() -> tuple[str, str, str]:
    """Triple, name and features of this machine's processor, as LLVM calls them."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.get_process_triple(), binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()


@cache
def _description() -> str:
    """What the machine code depends on beside the text it is made of."""
    return " ".join([version(), llvmlite_version, *map(str, binding.llvm_version_info), *processor()])


def _machine() -> Any:
    """A compiler for this processor; whoever uses it owns it."""
    triple, name, features = processor()
    return binding.Target.from_triple(triple).create_target_machine(cpu=name, features=features, opt=3, jit=True)


def _compile(text: str) -> bytes:
    machine = _machine()
    code: bytes = machine.emit_object(optimised(text, machine))
    return code


def optimised(text: str, machine: Any) -> Any:
    """A module of LLVM's, checked and optimised for a machine."""
    module = binding.parse_assembly(text)
    module.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module

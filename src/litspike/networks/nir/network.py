"""A network from a file in NIR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from torch import Tensor, nn

from litspike.arguments import typed
from litspike.networks.nir.build import Means, layers_of
from litspike.networks.nir.dialects import DIALECTS, READERS, WRITERS, Convention, Dialect, Integration
from litspike.networks.nir.file import FileError, Stored, opened
from litspike.networks.nir.graph import plan
from litspike.networks.sequence import Pass, SpikingNetwork
from litspike.networks.stepwise import StepByStep, Use, sent
from litspike.settings import SettingError, number
from litspike.surrogates import Surrogate

WRITER = "litspike"
"""How the metadata of a file of litspike's name its writer, before the version."""


class FromNIR(SpikingNetwork):
    r"""The network in a file in NIR, the neuromorphic intermediate representation, to be run, trained and exported.

    It maps currents or spikes [T, B, \*], of the shape of the file's Input, to what its Output gets, [T, B, \*]. NIR's
    equations are in continuous time; with ``λ = dt / τ`` (``euler``) or ``1 − exp(−dt / τ)`` (``exact``) for a step::

        τ dv/dt = (v_leak − v) + r I    becomes    v ← v · (1 − λ) + λ · (v_leak + r I)
        spike where v > v_threshold, then v ← v_reset

    Where a loop leads through several layers, what comes back to its begin is that of the step before.

    A file of ``litspike export --to nir`` says in its metadata how it is meant. Of another one only the user can know.
    Weights, biases and scales are trained further; the numbers of the neurons stay as they are.

    Args:
        path: the file.
        dialect: the library that wrote the file, where that is none of NIR's equations. See docs/deploy.md.
        dt: seconds of a time step; where None, what the file's metadata or the dialect say.
        discretisation: how the equations are integrated; ``euler`` where None and neither metadata nor dialect say it.
        reset: what a spike does to the potential, for files that don't say it: snnTorch's writer stores ``subtract``,
            its default, as a reset to zero.
        surrogate: surrogate gradient of all neurons; that of the models where None.

    Raises:
        UserError: if the file can't be read, is damaged or holds what can't be run, or a setting is missing.

    Source: Pedersen et al. 2024, "Neuromorphic intermediate representation: a unified instruction set for interoperable
    brain-inspired computing".

    Example:
        >>> from litspike.networks import FromNIR
        >>> network = FromNIR("export/nir/network.nir")  # then output, state = network(current), as any other
        Traceback (most recent call last):
        litspike.networks.nir.file.FileError: export/nir/network.nir: it is not there
    """

    @typed
    def __init__(
        self,
        path: str,
        dialect: Dialect | None = None,
        dt: float | None = None,
        discretisation: Integration | None = None,
        reset: Literal["zero", "subtract"] | None = None,
        surrogate: Surrogate | None = None,
    ) -> None:
        super().__init__()
        self.path = path
        try:
            known = None if dt is None else number("dt", dt, "(0, inf)")
            with opened(Path(path).expanduser()) as stored:
                convention = _convention(stored, dialect, known, discretisation, reset)
                laid_out = plan(stored)
                steps = layers_of(laid_out, Means(convention, surrogate))
        except FileError as problem:
            raise FileError(f"{path}: {problem}") from problem
        self.metadata = stored.metadata
        self.shape = next(step.shape for step in steps.values() if not step.inputs)
        r"""Of a sample, [\*]."""
        layers = nn.ModuleDict()
        self.layer_names: dict[str, str] = {}
        """Name of a node → that of its layer in this network."""
        self.uses: list[Use] = []
        self.output = laid_out.output
        late = {one: steps[one].shape for step in steps.values() for one in step.before}
        for name, step in steps.items():
            own = None
            if step.layer is not None:
                own = name.replace(".", "_")
                while own in layers or hasattr(layers, own):
                    own += "_"
                layers[own] = step.layer
                self.layer_names[name] = f"{'loop.' if late else ''}layers.{own}"
            self.uses.append(Use(name, own, step.inputs, step.before))
        if late:
            self.loop = StepByStep(self.uses, self.output, layers, late)
        else:
            self.layers = layers

    def through(self, x: Tensor, apply: Pass) -> Tensor:
        if hasattr(self, "loop"):
            return apply(self.loop, x)
        return sent(self.uses, self.output, self.layers, x, apply, {})[0]

    def extra_repr(self) -> str:
        return f"path={self.path!r}"


def _convention(
    stored: Stored, dialect: Dialect | None, dt: float | None, discretisation: Integration | None, reset: str | None
) -> Convention:
    """How a file is understood."""
    found = _own(stored.metadata, dialect)
    if found is None:
        found = Convention("euler", None) if dialect is None else WRITERS[dialect]
        if dialect == "snntorch" and reset is None and _fires(stored):
            problem = "is missing: snnTorch's file doesn't say it: zero, or subtract, which is snnTorch's default"
            raise SettingError("reset", reset, problem)
    if dt is not None:
        found = replace(found, dt=dt)
    if discretisation is not None:
        found = replace(found, integration=discretisation)
    if reset == "subtract":
        found = replace(found, reset="subtract_whole" if dialect == "snntorch" else "subtract")
    elif reset == "zero":
        found = replace(found, reset="zero", several=False)
    return found


def _own(metadata: Mapping[str, Any], dialect: Dialect | None) -> Convention | None:
    """How a file of litspike's own is meant; None where it is somebody else's."""
    if not str(metadata.get("writer", "")).startswith(f"{WRITER} "):
        return None
    written_as, integration = metadata.get("dialect"), metadata.get("discretisation")
    try:
        dt = number("dt", float(metadata["dt"]), "(0, inf)")
    except (KeyError, TypeError, ValueError) as problem:
        raise FileError("metadata: no dt, the duration of a step") from problem
    if integration not in get_args(Integration) or written_as not in ("nir", *DIALECTS):
        raise FileError("metadata: dialect or discretisation is none that litspike writes")
    if dialect is not None and dialect != written_as:
        raise SettingError("dialect", dialect, f"is not that of the file, which litspike wrote as {written_as}")
    base = Convention("euler", None) if written_as == "nir" else READERS[written_as]
    return replace(base, dt=dt, integration=cast(Integration, integration))


def _fires(stored: Stored) -> bool:
    return any(node.kind in ("IF", "LIF", "CubaLIF") or _fires(node) for node in stored.nodes.values())

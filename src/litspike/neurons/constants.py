"""The constants of a step, made from a layer's parameters and checked against the step's arguments.

A model's ``constants`` and ``at_rest`` get their parameters as tensors, so that one declaration, in PyTorch's
functions, serves fixed and learned parameters alike. What depends on no learned parameter is computed once, in double
precision; the rest at each call.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from litspike.internals.torch import without_modes
from litspike.settings import SettingError, UserError

Value = Tensor | float
Compute = Callable[[Mapping[str, Tensor]], Sequence[Value]]
"""A model's ``constants`` or ``at_rest``, of given values of the parameters."""

_LARGEST = torch.finfo(torch.float32).max


class Computed:
    """The results of a model's ``constants`` or ``at_rest``, and which parameters each of them is made of."""

    def __init__(self, compute: Compute, parameters: Mapping[str, float]) -> None:
        self._compute, self._parameters = compute, parameters
        with _ordinary_tensors():
            self.inputs = {name: tensor(value).requires_grad_() for name, value in parameters.items()}
            self.results = compute(self.inputs)
            self.origins = [_origins(result, self.inputs) for result in self.results]

    def numbers(self, learned: Mapping[str, Any]) -> list[float | None]:
        """The results as numbers; None for those that depend on what is learned, or are no single number.

        Raises:
            UserError: if one is beyond single precision.
        """
        numbers: list[float | None] = []
        for result, origins in zip(self.results, self.origins, strict=True):
            values = tensor(result).detach()
            if not bool((values.abs() <= _LARGEST).all()):
                raise UserError(f"{', '.join(sorted(origins))}: a number that is made of it is {values.max():g}")
            numbers.append(None if values.numel() != 1 or origins & learned.keys() else values.item())
        return numbers

    def takes_part(self, name: str) -> bool:
        """Whether a parameter has an effect on a result, be it by another way than gradients go."""
        if any(name in origins for origins in self.origins):
            return True
        values = {other: tensor(value) for other, value in self._parameters.items()}
        with _ordinary_tensors():
            before, after = self._compute(values), self._compute({**values, name: values[name] * 2 + 1})
        return any(not torch.equal(tensor(a), tensor(b)) for a, b in zip(before, after, strict=True))


def check_effects(computed: Sequence[Computed], changed: Sequence[str], learned: Mapping[str, Any]) -> None:
    """Refuse settings without an effect.

    Args:
        computed: constants and values at rest.
        changed: the parameters that are not at their default.
        learned: those that are learned, which take effect by gradients alone.

    Raises:
        SettingError: if one has no effect.
    """
    for name, scope in learned.items():
        if not any(name in origins for one in computed for origins in one.origins):
            problem = f"can't be learned: constants makes nothing of {name} by PyTorch's functions"
            raise SettingError(f"learn.{name}", scope, problem)
    for name in changed:
        if name not in learned and not any(one.takes_part(name) for one in computed):
            value = computed[0].inputs[name].item()
            raise SettingError(name, value, "has no effect beside the other settings")


def check_names(model: str, step: Callable[..., Any], states: Sequence[str], constants: Computed) -> None:
    """Refuse a step whose arguments are not the states and the constants in their order.

    Raises:
        UserError: if their number is wrong, if a state goes by another name, or if an argument with the name of a
            parameter gets what is made of another one.
    """
    arguments = inspect.signature(step).parameters.values()
    named = [one for one in arguments if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    needed = sum(one.default is one.empty for one in named)
    given = 1 + len(states) + len(constants.results)
    open_end = any(one.kind is one.VAR_POSITIONAL for one in arguments)
    if needed > given or (len(named) < given and not open_end):
        gets = f"its input, {len(states)} states and {len(constants.results)} constants"
        raise UserError(f"{model}: step takes {len(named)} arguments and gets {given}: {gets}")
    names = [one.name for one in named]
    for name, state in zip(names[1:], states, strict=False):
        if name != state:
            raise UserError(f"{model}: step takes {name!r} where rest has the state {state!r}")
    for index, name in enumerate(names[1 + len(states) : given]):
        own, origins = constants.inputs.get(name), constants.origins[index]
        elsewhere = any(result is own for result in constants.results)
        if own is None or constants.results[index] is own:
            continue
        if elsewhere or (origins and name not in origins):
            made = ", ".join(sorted(origins)) or "no parameter"
            raise UserError(f"{model}: step takes {name!r} where constants gives what is made of {made}")


def tensor(value: Value) -> Tensor:
    """A value as a tensor in double precision."""
    return value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64, device="cpu")


def _origins(result: Value, inputs: Mapping[str, Tensor]) -> set[str]:
    """Names of the inputs from which gradients flow to a result."""
    if not isinstance(result, Tensor) or not result.requires_grad:
        return set()
    found = torch.autograd.grad(result.sum(), list(inputs.values()), allow_unused=True, retain_graph=True)
    return {name for name, gradient in zip(inputs, found, strict=True) if gradient is not None}


@contextmanager
def _ordinary_tensors() -> Iterator[None]:
    """Ordinary tensors with gradients, whatever modes of torch are active outside."""
    with warnings.catch_warnings(), without_modes(), torch.inference_mode(False), torch.enable_grad():
        warnings.simplefilter("ignore")
        yield

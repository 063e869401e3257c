"""The page of all neuron models: their equations, and what each does with a current, drawn by running it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import torch
from torch import Tensor

from litspike import neurons
from litspike.neurons import Neuron

STEPS, BEGINS, ENDS = 200, 20, 160
"""Time steps that are drawn, and those between which a current flows."""
SPIKES = 3
"""Of the currents that are tried, the first that makes so many spikes is drawn."""
_EQUATION = re.compile(r"^Equation.*?(?=^(?:Args|Raises|Source|Example|Returns):)", re.MULTILINE | re.DOTALL)


def models() -> list[type[Neuron]]:
    """The neuron models that litspike has, in the order of their names."""
    classes = [getattr(neurons, name) for name in neurons.__all__]
    found = [made for made in classes if inspect.isclass(made) and issubclass(made, Neuron) and made is not Neuron]
    return sorted(found, key=lambda model: model.__name__)


def page(pictures: Path) -> str:
    """The page, whose pictures are drawn into a folder."""
    pictures.mkdir(parents=True, exist_ok=True)
    parts = [
        "# The neurons and their equations\n",
        f"Each neuron of litspike with its defaults, with the least current of those tried that makes it fire {SPIKES}",
        f"times. The current flows from step {BEGINS} to step {ENDS}. A neuron appears here by being in",
        "`litspike.neurons`; `litspike fit --model.network.neuron.help NAME` lists its settings.\n",
    ]
    for model in models():
        draw(model, pictures / f"{model.__name__}.png")
        text = inspect.cleandoc(model.__doc__ or "")
        summary = " ".join(text.partition("\n\n")[0].split())
        parts += [f"## {model.__name__}\n", f"{_plain(summary)}\n", _plain(_equation(model)) + "\n"]
        parts += [f"![{model.__name__}: current, states and spikes]({pictures.name}/{model.__name__}.png)\n"]
    return "\n".join(parts)


def _equation(model: type[Neuron]) -> str:
    """The equation in a model's docstring, and what its signs mean, as Markdown.

    Raises:
        ValueError: if it has none.
    """
    found = _EQUATION.search(inspect.cleandoc(model.__doc__ or ""))
    if found is None:
        raise ValueError(f"the docstring of {model.__name__} has no equation")
    return re.sub(r"::\n\n", ":\n\n", found[0]).rstrip()


def _plain(text: str) -> str:
    return re.sub(r":(?:class|func|meth|attr):`~?([\w.]+)`", r"`\1`", text).replace("``", "`")


def run(model: type[Neuron]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Current, output and every state after each step, all [T], of a neuron with its defaults."""
    flows = torch.zeros(STEPS)
    flows[BEGINS:ENDS] = 1
    for power in range(60):
        current = flows * 0.05 * 1.2**power
        output, states = _steps(model(), current)
        if not _spikes(output) or output[BEGINS:ENDS].sum() >= SPIKES:
            break
    return current, output, states


def _spikes(output: Tensor) -> bool:
    return bool(((output == 0) | (output == 1)).all())


def _steps(neuron: Neuron, current: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    state, outputs = None, []
    states: dict[str, list[Tensor]] = {name: [] for name in neuron.rest}
    for x in current:
        output, state = neuron(x.view(1, 1, 1), state)
        outputs.append(output.flatten())
        for name, values in states.items():
            values.append(getattr(state, name).flatten())
    return torch.cat(outputs), {name: torch.cat(values) for name, values in states.items()}


def draw(model: type[Neuron], path: Path) -> None:
    """Draw what a neuron does into a file."""
    from matplotlib import pyplot

    current, output, states = run(model)
    rows = {"current x": current, **{f"state {name}": values for name, values in states.items()}}
    if not _spikes(output):
        rows["output"] = output
    figure, axes = pyplot.subplots(
        len(rows), sharex=True, figsize=(7, 0.6 + 1.1 * len(rows)), layout="constrained", squeeze=False
    )
    for place, (name, values) in zip(axes[:, 0], rows.items(), strict=True):
        place.plot(values)
        place.set_ylabel(name)
    if _spikes(output):
        top = axes[1, 0]
        top.plot(output.nonzero(), [1.06] * int(output.sum()), "kv", transform=top.get_xaxis_transform(), clip_on=False)
        axes[0, 0].set_title("▼ spikes; each state as it is after the step", fontsize="medium")
    axes[-1, 0].set_xlabel("time step")
    figure.savefig(path, dpi=100)
    pyplot.close(figure)

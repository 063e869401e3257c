"""Readouts: from a network's output over time, [T, B, *], to one value per sample, [B, *], or per step, [B, T, *].

Where sequences have different lengths, integers [B], a readout reads the steps inside each.
"""

from __future__ import annotations

import copy
import math
from typing import Literal

import torch
from torch import Tensor, nn

from litspike.arguments import InputError, check_floats, check_tensor, typed
from litspike.coding.ranges import check_range
from litspike.coding.valid import mean_over_steps, spread, valid_steps
from litspike.neurons import LeakyIntegrator, NeuronLayer
from litspike.settings import SettingError, integer, number


class MeanOverTime(nn.Module):
    """The mean over the time steps: ``y = (1/T) Σ_t o_t``.

    Example:
        >>> import torch
        >>> from litspike import MeanOverTime
        >>> MeanOverTime()(torch.tensor([[[1.0]], [[0.0]]])).tolist()  # [T, B, N] → [B, N]
        [[0.5]]
    """

    def forward(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[T, B, *] → [B, *]."""
        check_floats(self, "the output", outputs)
        return outputs.mean(0) if lengths is None else mean_over_steps(outputs, lengths)


class LinearOfRates(nn.Module):
    r"""A Linear of the firing rates, each standardised by its mean and variance over the samples.

    Equation, for neuron n::

        r_n = (1/T) Σ_t o_t,n
        y   = b + Σ_n w_n · (r_n − mean_n) / √(var_n + 1e-5)

    Mean and variance are those of the batch in training, and of all batches of training afterwards. So neurons whose
    rates differ little from sample to sample say as much as others, and fit well with one batch of all samples. It
    maps outputs [T, B, N] to values [B, D].

    Args:
        inputs: number N of neurons.
        outputs: number D of values.

    Raises:
        SettingError: if a number is below 1.

    Source: Dempster, Petitjean and Webb 2020, "ROCKET: exceptionally fast and accurate time series classification using
    random convolutional kernels", for a linear classifier of such features.

    Example:
        >>> import torch
        >>> from litspike import LinearOfRates
        >>> LinearOfRates(100, 2)(torch.rand(20, 8, 100).round()).shape
        torch.Size([8, 2])
    """

    @typed
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.rates, width = MeanOverTime(), integer("inputs", inputs)
        self.standardise = nn.BatchNorm1d(width, affine=False, momentum=None)
        self.linear = nn.Linear(width, integer("outputs", outputs))

    def forward(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[T, B, N] → [B, D]."""
        values: Tensor = self.linear(self.standardise(self.rates(outputs, lengths)))
        return values


class LeakyIntegratorReadout(nn.Module):
    r"""A leaky integrator takes up the outputs, and its membrane potential is read: its mean, maximum or last value.

    Equation, with u from :class:`~litspike.neurons.LeakyIntegrator`::

        y = (1/T) Σ_t u_t, max_t u_t or u_T

    It maps outputs [T, B, \*] to values [B, \*]; outputs, potential and values share one unit.

    Args:
        read: what of the potential is read.
        integrator: the leaky integrator, with its decay or time constant, fixed or learned; one with a decay of 0.9
            where None. The readout gets a copy.
        outputs: number N of outputs a sample, where the integrator learns a value for each of them.

    Raises:
        SettingError: if ``read`` is none of these, or the integrator learns a value for each output and the number of
            outputs is not given.

    Source: Cramer, Stradmann, Schemmel and Zenke 2022, "The Heidelberg spiking data sets for the systematic evaluation
    of spiking neural networks", for maximum and last; Gerstner, Kistler, Naud and Paninski 2014, "Neuronal Dynamics",
    section 1.3, for the integrator.

    Example:
        >>> import torch
        >>> from litspike import LeakyIntegrator, LeakyIntegratorReadout
        >>> readout = LeakyIntegratorReadout("last", LeakyIntegrator(decay=0.5))
        >>> readout(torch.ones(3, 1, 2)).tolist()
        [[1.75, 1.75]]
    """

    @typed
    def __init__(
        self,
        read: Literal["mean", "max", "last"] = "mean",
        integrator: LeakyIntegrator | None = None,
        outputs: int | None = None,
    ) -> None:
        super().__init__()
        self.read = read
        if integrator is None:
            integrator = LeakyIntegrator()
        self.integrator = _own(integrator, outputs)

    def forward(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[T, B, *] → [B, *]."""
        potential: Tensor = self.integrator(outputs)[0]
        if lengths is not None:
            return self._inside(potential, lengths)
        if self.read == "mean":
            return potential.mean(0)
        return potential.amax(0) if self.read == "max" else potential[-1]

    def _inside(self, potential: Tensor, lengths: Tensor) -> Tensor:
        """What is read of the steps inside each sequence."""
        if self.read == "mean":
            return mean_over_steps(potential, lengths)
        if self.read == "last":
            return potential[lengths - 1, torch.arange(len(lengths), device=lengths.device)]
        inside = spread(valid_steps(len(potential), lengths), potential)
        return torch.where(inside, potential, -torch.inf).amax(0)

    def extra_repr(self) -> str:
        return f"read={self.read!r}"


class LastStep(nn.Module):
    r"""The output of the last step: ``y = o_T``, where the network has seen everything.

    It maps outputs [T, B, \*] to values [B, \*].

    Example:
        >>> import torch
        >>> from litspike import LastStep
        >>> LastStep()(torch.tensor([[[1.0]], [[0.0]]])).tolist()
        [[0.0]]
    """

    def forward(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[T, B, *] → [B, *]."""
        check_tensor(self, "the output", outputs)
        if lengths is None:
            return outputs[-1]
        return outputs[lengths - 1, torch.arange(len(lengths), device=lengths.device)]


class EveryStep(nn.Module):
    r"""Every step's value, for targets at every step: the outputs as they are, or a leaky integrator's potential.

    Equation, with u from :class:`~litspike.neurons.LeakyIntegrator`::

        y_t = o_t, or u_t where there is an integrator

    It maps outputs [T, B, \*] to values [B, T, \*], with the batch first as the targets have it; outputs, potential
    and values share one unit.

    Args:
        integrator: the leaky integrator, with its decay or time constant, fixed or learned; the outputs are read
            themselves where None. The readout gets a copy.
        outputs: number N of outputs a sample, where the integrator learns a value for each of them.

    Raises:
        SettingError: if the integrator learns a value for each output and the number of outputs is not given, or if
            that is given without an integrator.

    Source: Gerstner, Kistler, Naud and Paninski 2014, "Neuronal Dynamics", section 1.3, for the integrator.

    Example:
        >>> import torch
        >>> from litspike import EveryStep
        >>> EveryStep()(torch.zeros(4, 2, 1)).shape  # [T, B, N] → [B, T, N]
        torch.Size([2, 4, 1])
    """

    @typed
    def __init__(self, integrator: LeakyIntegrator | None = None, outputs: int | None = None) -> None:
        super().__init__()
        if integrator is None and outputs is not None:
            raise SettingError("outputs", outputs, "is given without an integrator, which alone needs it")
        self.integrator = None if integrator is None else _own(integrator, outputs)

    def forward(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[T, B, *] → [B, T, *]; what is after a sequence's end says nothing, and no loss or metric reads it."""
        check_tensor(self, "the output", outputs)
        if outputs.dim() < 2:
            raise InputError(f"EveryStep takes [T, B, *], not {list(outputs.shape)}")
        values: Tensor = outputs if self.integrator is None else self.integrator(outputs)[0]
        return values.transpose(0, 1)


def _own(integrator: LeakyIntegrator, outputs: int | None) -> LeakyIntegrator:
    """A readout's copy of an integrator, refused where it learns a value for each output without knowing how many."""
    if outputs is not None:
        return integrator.shaped(integer("outputs", outputs))
    parameters = dict(integrator.named_parameters())
    for name in integrator.learn or {}:
        if f"free_{name}" not in parameters:
            raise SettingError("outputs", None, f"must be the number of outputs, as {name} is learned for each")
    return copy.deepcopy(integrator)


class FirstSpike(nn.Module):
    r"""The neuron that fires first has the largest logit.

    Equation, of spikes s with times t and τ in steps::

        t = Σ_k Π_{j ≤ k} (1 − s_j)        steps before the first spike; T where there is none
        y = −t / τ

    It maps outputs [T, B, \*] to logits [B, \*]. Time says nothing of a neuron that doesn't fire, and a spike of one
    neuron makes the others' late. In training, neurons of the readout's own therefore fire by chance, the likelier the
    higher their potential u, and the logit is the logarithm of the probability that a neuron is the first of all C::

        h_t,c = σ(k (u_t,c − θ))                         probability that c fires at step t, before any has
        P_c   = Σ_t h_t,c Π_{r < t} Π_j (1 − h_r,j)
        y_c   = ln(P_c + P_none / C)                     P_none: that none ever fires

    As k grows, the first spike is the certain one. Where the network itself ends in spiking neurons there is no
    potential to see: y is −t / τ in training too, and its derivative that of the polynomial t in the spikes.

    Args:
        neuron: neurons that turn the network's outputs into spikes; None where the network ends in spiking neurons.
            The readout gets a copy.
        tau: time τ in steps by which a later spike costs a factor e in probability.
        sharpness: k, how steeply the probability of firing rises with the potential, per unit of it.

    Raises:
        SettingError: if tau or sharpness is not above 0.
        UserError: if a value is outside [0, 1], as the outputs of a network are that doesn't end in spiking neurons.

    Source: Mostafa 2018, "Supervised learning based on temporal coding in spiking neural networks", for the softmax of
    negative times; Gerstner, Kistler, Naud and Paninski 2014, "Neuronal Dynamics", section 9.1, for the escape noise h;
    Singer and Willett 1993, "It's about time", for survival in discrete time, with several risks here.

    Example:
        >>> import torch
        >>> from litspike import FirstSpike
        >>> FirstSpike()(torch.tensor([[[0.0, 0.0, 0.0]], [[1.0, 0.0, 1.0]], [[0.0, 1.0, 1.0]]])).tolist()
        [[-1.0, -2.0, -1.0]]
    """

    @typed
    def __init__(self, neuron: NeuronLayer | None = None, tau: float = 1.0, sharpness: float = 5.0) -> None:
        super().__init__()
        self.neuron = copy.deepcopy(neuron)
        self.tau = number("tau", tau, "(0, inf)")
        self.sharpness = number("sharpness", sharpness, "(0, inf)")

    def forward(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[T, B, *] → [B, *]."""
        if self.training and self.neuron is not None:
            excess = self.neuron.excess(outputs)
            if excess is not None:
                return self._being_first(excess, lengths)
        spikes = outputs if self.neuron is None else self.neuron(outputs)[0]
        check_range("FirstSpike", spikes, "[0, 1]")
        if torch.compiler.is_compiling() and not spikes.requires_grad:  # ONNX has no running product
            waiting = torch.log1p(-spikes).cumsum(0).exp()
        else:
            waiting = (1 - spikes).cumprod(0)
        if lengths is not None:
            waiting = torch.where(spread(valid_steps(len(waiting), lengths), waiting), waiting, 0)
        return waiting.sum(0) / -self.tau

    def _being_first(self, excess: Tensor, lengths: Tensor | None) -> Tensor:
        """The logarithm of the probability of being first, from potentials less the threshold [T, B, *]."""
        if lengths is not None:
            excess = excess.masked_fill(~spread(valid_steps(len(excess), lengths), excess), -torch.inf)
        z = excess.flatten(2) * self.sharpness
        silence = nn.functional.softplus(z).sum(2).neg()  # log of the probability that none fires at this step
        until = silence.cumsum(0)
        first = torch.logsumexp(nn.functional.logsigmoid(z) + (until - silence)[..., None], 0)
        never = until[-1] - math.log(z.shape[2])
        return torch.logaddexp(first, never[:, None]).view_as(excess[0])

    def extra_repr(self) -> str:
        return f"tau={self.tau}, sharpness={self.sharpness}"

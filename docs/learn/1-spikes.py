# ---
# jupyter: {jupytext: {text_representation: {extension: .py, format_name: percent}}}
# ---

# %% [markdown]
# # What a spike is, and why its gradient needs a surrogate
#
# A neuron adds up what comes in. The sum is called its *membrane potential*, `u`. When `u` reaches a *threshold*, the
# neuron sends a *spike*, a 1, and `u` starts again at 0. At every other time step it sends a 0, and `u` shrinks a
# little: only the share `decay` of it remains. So the neuron slowly forgets.
#
# That is all of a *leaky integrate-and-fire* neuron (LIF). Here is one, with a constant input of 0.25. The loop goes
# over 30 time steps:

# %%
import matplotlib.pyplot as plt
import torch

current = torch.full((30,), 0.25)
decay, threshold, u = 0.9, 1.0, torch.tensor(0.0)
potentials, spikes = [], []
for x in current:
    u = u + x  # add what comes in
    s = (u >= threshold).float()  # a spike, or none
    potentials.append(u)
    spikes.append(s)
    u = u * (1 - s) * decay  # start again after a spike, else forget a little

figure, axes = plt.subplots(figsize=(7, 2.5), layout="constrained")
axes.plot(torch.stack(potentials), ".-", label="membrane potential u")
axes.axhline(threshold, color="C1", linestyle="--", label="threshold")
axes.plot(torch.stack(spikes).nonzero(), [1.15] * int(sum(spikes)), "kv", label="spike")
axes.set(xlabel="time step", ylim=(0, 1.3))
figure.legend(loc="outside upper center", ncols=3)

# %% [markdown]
# litspike's `LIF` does the same, for many neurons and samples, and all time steps in one call. Its input has the shape
# [T, B, N]: T time steps, B samples (a batch), N neurons. Here that is [30, 1, 1].

# %%
from litspike import LIF

output, state = LIF(decay=0.9, threshold=1.0)(current[:, None, None])
print("the same spikes:", torch.equal(output[:, 0, 0], torch.stack(spikes)))

# %% [markdown]
# ## The gradient that is not there
#
# A network learns by gradients. A gradient says how much the loss would change if a weight changed a little. But a
# spike is a step: 0 below the threshold, 1 above it. A little more potential changes nothing, so the slope is 0 on both
# sides. Then every gradient behind a spike is 0, and the weights there never change.
#
# The solution: the forward pass, which computes the output, keeps the spikes as they are. The backward pass, which
# computes the gradients, takes the slope of a smooth curve in place of the true one. That slope is called a *surrogate
# gradient*:

# %%
from litspike.surrogates import ArcTan, Triangle

v = torch.linspace(-2, 2, 201)
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.5), layout="constrained")
left.plot(v, (v >= 0).float())
left.set(title="forward: the spike", xlabel="potential − threshold")
right.plot(v, torch.zeros_like(v), label="true slope")
for surrogate in (ArcTan(), Triangle()):
    right.plot(v, surrogate.derivative(v), label=type(surrogate).__name__)
right.set(title="backward: the slope", xlabel="potential − threshold")
right.legend()

# %% [markdown]
# ## What it changes
#
# A [widely copied article](../article.md) trains a network of ten spiking neurons without a surrogate. The loss falls,
# so it seems to work. We do the same, once without and once with a surrogate. The points have two classes: the two
# sides of a line. The network's answer is its mean output: above 0 it says class 1. Look at the gradient of the first
# layer:

# %%
from litspike import Perceptron
from litspike.surrogates import ZeroGradient

torch.manual_seed(0)
x = torch.randn(500, 2)
y = (x[:, 0] > x[:, 1]).float()  # on which side of a line a point lies


def loss_of(network):
    output, _ = network(x.expand(16, 500, 2))  # the same current at 16 time steps
    logits = output.mean(0)[:, 0]  # the mean over time is the answer
    accuracy = ((logits > 0) == (y > 0)).float().mean().item()
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, y), accuracy


curves = {}
for name, surrogate in (("without", ZeroGradient()), ("with", ArcTan())):
    torch.manual_seed(0)
    network = Perceptron([2, 10, 1], LIF(decay=0.9, surrogate=surrogate))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    curves[name] = []
    for step in range(100):
        loss, accuracy = loss_of(network)
        curves[name].append(accuracy)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            print(f"{name} a surrogate: first layer's gradient {network.layers[0].weight.grad.norm():.4f}")
        optimizer.step()

figure, axes = plt.subplots(figsize=(7, 2.5), layout="constrained")
for name, accuracies in curves.items():
    axes.plot(accuracies, label=f"{name} a surrogate")
axes.set(xlabel="step of training", ylabel="accuracy")
axes.legend()
print({name: round(accuracies[-1], 3) for name, accuracies in curves.items()})

# %% [markdown]
# Without a surrogate, the gradient of the first layer is 0: it keeps the random weights that it began with. Only the
# last layer learns. With a surrogate, both layers learn.
#
# Next: [your first network](2-first-network.md). More about the article: [as printed and as meant](../article.md).

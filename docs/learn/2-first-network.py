# ---
# jupyter: {jupytext: {text_representation: {extension: .py, format_name: percent}}}
# ---

# %% [markdown]
# # Your first network
#
# One command trains a network: `litspike fit` in a terminal. In Python the same command is a call:

# %%
from litspike.cli import main

main(["fit", "--trainer.max_epochs", "10"])

# %% [markdown]
# Each line is an epoch: one pass through 1000 points of the plane. The network is to tell on which side of a line each
# point lies. `val` is measured on points that it doesn't learn from. Everything lies in the folder that the first line
# names: settings, checkpoints and curves.
#
# Now the test, on points that nothing was chosen by:

# %%
main(["test", "--data.test_points", "1000"])

# %% [markdown]
# Beside the accuracy stands its 95% interval. With more points it gets narrower. The receipt says what the network
# costs: its spikes, its operations and an estimate of their energy.
#
# ## What has it learned?
#
# `load` gives you the network with its weights. It takes points and gives one number each, the logit: above 0 is class
# 1. So we can ask it about every point of the plane:

# %%
import matplotlib.pyplot as plt
import torch

import litspike

task = litspike.load("default")
side = torch.linspace(-3, 3, 101)
points = torch.cartesian_prod(side, side)
with torch.no_grad():
    logits = task(points)[:, 0].reshape(101, 101)

figure, axes = plt.subplots(figsize=(3.6, 3), layout="constrained")
shades = axes.pcolormesh(side, side, logits.T.sigmoid(), cmap="RdBu", vmin=0, vmax=1)
axes.contour(side, side, logits.T, levels=[0.0], colors="black")
figure.colorbar(shades, label="probability of class 1")
axes.set(title="black: the decision boundary", aspect="equal")

# %% [markdown]
# ## Change one thing
#
# Every setting has a name, and any can be set on the command line. Here the neurons forget faster (`decay`), and there
# are 30 of them (`sizes`):

# %%
main(["fit", "--trainer.max_epochs", "3", "--model.network.neuron.decay", "0.5", "--model.network.sizes", "[2, 30, 1]"])

# %% [markdown]
# `litspike fit --help` lists what is set often. `litspike configs` lists other networks, such as `-c digits`.
#
# Next: [your own data](3-own-data.md).

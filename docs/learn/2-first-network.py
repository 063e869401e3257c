# ---
# jupyter: {jupytext: {text_representation: {extension: .py, format_name: percent}}}
# ---

# %% [markdown]
# # Your first network
#
# One command trains a network. In a terminal it is `litspike fit --trainer.max_epochs 10`. In Python, `main` is the
# same command:

# %%
from litspike.cli import main

main(["fit", "--trainer.max_epochs", "10"])

# %% [markdown]
# The data are points of the plane. The network learns on which side of a line each point lies. A line of output is an
# *epoch*: one pass through the 1000 points to learn from. `val` (validation) is measured on other points, which the
# network doesn't learn from. The weights after the best epoch, by the validation loss, are kept in a file: the *best
# checkpoint*.
#
# The first line names the folder of this run. Settings, checkpoints and curves are in it.
#
# The validation points have chosen the checkpoint, so they are no fair test of it. The test has points of its own:

# %%
main(["test", "--data.test_points", "1000"])

# %% [markdown]
# Beside the accuracy stands its 95% interval. It says how far the accuracy on all possible points may be from the one
# measured on these 1000. With more points the interval gets narrower. The *receipt* is the report of the test: also
# what the network costs, in spikes, in operations and in energy, which is an estimate.
#
# ## What has it learned?
#
# `load` gives you the trained network of the newest run. It takes points, and gives one number for each, the *logit*.
# Above 0 means class 1. The sigmoid of the logit is the probability of class 1. So we can ask the network about every
# point of a square:

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
# Every setting has a name, and you can set it on the command line. Here the neurons forget faster (`decay`), and there
# are 30 of them between 2 inputs and 1 output (`sizes`):

# %%
main(["fit", "--trainer.max_epochs", "3", "--model.network.neuron.decay", "0.5", "--model.network.sizes", "[2, 30, 1]"])

# %% [markdown]
# `litspike fit --help` lists the settings that are used most. `litspike configs` lists the other configurations, with
# data and network each. `litspike fit -c digits` trains one of them.
#
# Next: [your own data](3-own-data.md).

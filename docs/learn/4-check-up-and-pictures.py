# ---
# jupyter: {jupytext: {text_representation: {extension: .py, format_name: percent}}}
# ---

# %% [markdown]
# # Read the check-up and the pictures
#
# A spiking network has a way to fail that others don't have: a layer that never fires. Nothing goes through it, and no
# error is raised. So litspike looks at every layer in every epoch.
#
# Here the threshold is far too high, on purpose:

# %%
from litspike.cli import main

DATA = ["-c", "arrays", "--trainer.max_epochs", "4"]
main(["fit", *DATA, "--model.network.neuron.threshold", "30"])

# %% [markdown]
# The line that begins with `check-up` says which layer, what is wrong, since when, and what usually helps. The accuracy
# is that of a network that guesses. With the threshold as it was:

# %%
main(["fit", *DATA])

# %% [markdown]
# No line: nothing is wrong. Now the pictures. Each is a file, and TensorBoard has them too.

# %%
main(["picture", "-c", "arrays"])

# %%
from pathlib import Path

import matplotlib.pyplot as plt

newest = max(Path("logs/arrays").glob("*/pictures"))


def show(name):
    picture = plt.imread(newest / f"{name}.png")
    figure = plt.figure(figsize=(7, 7 * picture.shape[0] / picture.shape[1]), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(picture)
    axes.axis("off")


show("one-sample")

# %% [markdown]
# One sample on its way through, from top to bottom. First the current into each input. Then the spikes: a mark where a
# neuron fires, and on the right how often. Then the network's output at each step. At the bottom what the readout makes
# of it: the mean so far, and the probabilities at the end. Read it upwards to see *why* the answer is what it is.

# %%
show("membrane-potential")

# %% [markdown]
# Inside three neurons: the most active one, one in the middle, and one that nearly fires. The potential climbs to the
# dashed threshold, the neuron fires, the potential falls back. A neuron that stays far below all the time learns
# nothing; one that is above at every step says nothing.

# %%
show("confusion-matrix")

# %% [markdown]
# Which class was taken for which. Numbers off the diagonal are mistakes.
#
# ## What to look for
#
# - **Rates.** 0.01 to 0.3 spikes per neuron and step is usual. A layer near 0 is silent, one near 1
#   fires at every step: both say nothing.
# - **Silent neurons.** A few are fine. Most of a layer is not: lower the threshold, or let `calibrate` scale the
#   weights.
# - **Gradients.** TensorBoard has the norm of each. Where one is thousands of times smaller than another, its layer
#   hardly learns.
#
# More about each: [pictures](../pictures.md), [the receipt](../receipt.md), [runs](../running.md).

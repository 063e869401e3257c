# ---
# jupyter: {jupytext: {text_representation: {extension: .py, format_name: percent}}}
# ---

# %% [markdown]
# # Read the check-up and the pictures
#
# A spiking network can fail as no other network does: a layer may never fire. Then nothing goes through it, and there
# is no error. So litspike measures every layer in each epoch. This is the *check-up*.
#
# The configuration `arrays` learns three kinds of wine from a table of measurements. Here we set a threshold that is
# far too high:

# %%
from litspike.cli import main

DATA = ["-c", "arrays", "--trainer.max_epochs", "4"]
main(["fit", *DATA, "--model.network.neuron.threshold", "30"])

# %% [markdown]
# The line that begins with `check-up` names the layer, says what is wrong and since which epoch, and what usually
# helps. The accuracy is low, because the network can only guess. Now with the usual threshold:

# %%
main(["fit", *DATA])

# %% [markdown]
# There is no such line: nothing is wrong. Now the pictures. Each is a file in the run's folder, and TensorBoard shows
# them too.

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
# One sample goes through the network, from top to bottom; time goes from left to right:
#
# - the current into each input;
# - the spikes of the layer: a mark where a neuron fires, and on the right how often it does;
# - the network's output at each step;
# - what the *readout* makes of it, the part that turns outputs over time into one answer: the mean so far, and on the
#   right the probability of each class at the end.
#
# Read it from the bottom up to see *why* the answer is what it is.

# %%
show("membrane-potential")

# %% [markdown]
# The membrane potentials of three neurons: the most active one, one of medium activity, and one that nearly fires. The
# potential climbs to the threshold (dashed), the neuron fires, and the potential falls back. A neuron that always stays
# far below hardly learns, as the surrogate gradient is nearly 0 there. One that fires at every step carries no
# information.

# %%
show("confusion-matrix")

# %% [markdown]
# Rows are the true classes, columns the network's answers. Numbers off the diagonal are mistakes.
#
# ## What to look for
#
# - **Firing rates.** 0.01 to 0.3 spikes per neuron and step is usual. A layer near 0 is silent. A layer near 1 fires at
#   nearly every step.
# - **Silent neurons.** A few are fine. If most of a layer is silent, lower the threshold, or scale the weights:
#   [calibration](../glossary.md) does this before the first epoch.
# - **Gradients.** TensorBoard has the size (norm) of each layer's gradient. If one is thousands of times smaller than
#   another, its layer hardly learns.
#
# More: [pictures](../pictures.md), [the receipt](../receipt.md), [runs](../running.md). Next:
# [from training to hardware](5-to-hardware.md).

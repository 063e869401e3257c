# ---
# jupyter: {jupytext: {text_representation: {extension: .py, format_name: percent}}}
# ---

# %% [markdown]
# # Your own data
#
# Often data are a table: each row is a sample, and one column is the *label*, the class that the sample belongs to.
# Here we make such a table. It has two measurements, and the name of a class:

# %%
import csv
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

randomness = np.random.default_rng(0)
angle = np.pi * randomness.random(400)
upper = randomness.random(400) < 0.5
width = np.where(upper, np.cos(angle), 1 - np.cos(angle)) + 0.1 * randomness.normal(size=400)
height = np.where(upper, np.sin(angle), 0.5 - np.sin(angle)) + 0.1 * randomness.normal(size=400)

with open("moons.csv", "w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["width", "height", "moon"])
    table.writerows(zip(width.round(3), height.round(3), np.where(upper, "upper", "lower")))
print(*Path("moons.csv").read_text().splitlines()[:3], sep="\n")

figure, axes = plt.subplots(figsize=(4, 2.5), layout="constrained")
for name, rows in (("upper", upper), ("lower", ~upper)):
    axes.plot(width[rows], height[rows], ".", label=name)
axes.legend()

# %% [markdown]
# A configuration is a file in YAML. It says where the table is, which column is the label, and how large the network
# is: 2 inputs, one for each measurement, 50 neurons, and 2 outputs, one for each class. All that it doesn't say is as
# in the default configuration.

# %%
Path("moons.yaml").write_text("""
trainer: {max_epochs: 15}
model:
  class_path: litspike.tasks.Classification
  init_args:
    loss: litspike.tasks.CrossEntropy
    network:
      class_path: litspike.networks.Perceptron
      init_args:
        sizes: [2, 50, 2]
data:
  class_path: litspike.data.Arrays
  init_args: {path: moons.csv, label: moon, batch_size: 16}
""")

from litspike.cli import main

main(["fit", "-c", "moons.yaml"])
main(["test", "-c", "moons.yaml"])

# %% [markdown]
# litspike has divided the rows: most to learn from, some for the validation, some for the test. It has also scaled each
# column, so that the training rows have mean 0 and standard deviation 1.
#
# ## New rows
#
# `predict` answers for rows that have no label. It writes its answers to `predictions.csv` in the run's folder:

# %%
Path("new.csv").write_text("width,height\n0.0,1.0\n1.0,-0.5\n")
main(["predict", "-c", "moons.yaml", "--data.test_path", "new.csv"])
(predictions,) = Path("logs/moons").glob("*/predictions.csv")
print(predictions.read_text())

# %% [markdown]
# ## When something is wrong
#
# A mistake in the settings gives one line, before any training. Here a column that isn't there, and a network with 3
# inputs for 2 measurements:

# %%
main(["fit", "-c", "moons.yaml", "--data.label", "mon"])
main(["fit", "-c", "moons.yaml", "--model.network.sizes", "[3, 50, 2]"])

# %% [markdown]
# Sequences, images and arrays: [your own data, all of it](../your-own-data.md).
#
# Next: [read the check-up and the pictures](4-check-up-and-pictures.md).

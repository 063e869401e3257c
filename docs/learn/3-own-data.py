# ---
# jupyter: {jupytext: {text_representation: {extension: .py, format_name: percent}}}
# ---

# %% [markdown]
# # Your own data
#
# You have a table: a row for each sample, and a column that says what it is. Here we make one. Two measurements, and a
# name as the label:

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
# A configuration says where the table is, which column is the label, and how large the network is: 2 measurements come
# in, 2 classes go out.

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
# The rows were divided for you: most to learn from, some to choose the best epoch by (validation), some to test. Each
# column was brought to mean 0 and spread 1, as measured on the training rows alone.
#
# ## New rows
#
# Rows without a label get one:

# %%
Path("new.csv").write_text("width,height\n0.0,1.0\n1.0,-0.5\n")
main(["predict", "-c", "moons.yaml", "--data.test_path", "new.csv"])
(predictions,) = Path("logs/moons").glob("*/predictions.csv")
print(predictions.read_text())

# %% [markdown]
# ## When something is wrong
#
# A mistake is one line that names the setting, before any training:

# %%
main(["fit", "-c", "moons.yaml", "--data.label", "mon"])
main(["fit", "-c", "moons.yaml", "--model.network.sizes", "[3, 50, 2]"])

# %% [markdown]
# Sequences, images and arrays: [your own data, all of it](../your-own-data.md).
#
# Next: [read the check-up and the pictures](4-check-up-and-pictures.md).

# ---
# jupyter: {jupytext: {text_representation: {extension: .py, format_name: percent}}}
# ---

# %% [markdown]
# # From training to hardware
#
# A trained network is a checkpoint. It needs Python, PyTorch and litspike to run. A small processor has none of them.
# So litspike writes the network as one C file, runs it on the test data, and reports any difference. You need a C
# compiler for this page: `cc`.
#
# We take a trained network that comes with litspike. It recognises three kinds of wine by 13 measurements.

# %%
from litspike.cli import main

main(["export", "--ckpt_path", "zoo:arrays", "--to", "c", "--name", "wine"])

# %% [markdown]
# Read the tables from the top:
#
# - `equal spikes`: which share of the layer's spikes is the same in the C program and in litspike. Here all of them.
# - `outputs` and `values`: the largest difference of an output, and of the readout's answer. Numbers in float32 are
#   rounded, and another order of a sum rounds differently. So the last digit may differ.
# - the metrics of both, on the test data.
#
# ## Without floating-point numbers
#
# Many small processors compute with integers only. With `--integer 8` each weight becomes an integer of 8 bits, and
# each membrane potential one of 16 bits:

# %%
main(["export", "--ckpt_path", "zoo:arrays", "--to", "c", "--name", "wine", "--integer", "8"])

# %% [markdown]
# Now a few spikes differ, because weights were rounded. The accuracy is what counts, and it is the same. The last lines
# say what the network needs: less than 3 kB of flash and less than 1 kB of RAM. The smallest processors have more.
#
# ## Run it
#
# The C file has four functions: `init`, `reset`, `step` and `run`. A C program calls them as
# [Deploy](../deploy.md) shows. Python can call them too, so let us see what the file computes. First compile it:

# %%
import ctypes
import re
import subprocess
from pathlib import Path

folder = Path("logs/zoo/arrays/export/c-int8")
subprocess.run(["cc", "-std=c99", "-O2", "-shared", "-fPIC", "-o", "wine.so", folder / "wine.c"], check=True)
program = ctypes.CDLL("./wine.so")

header = (folder / "wine.h").read_text()
number = {name: int(value) for name, value in re.findall(r"#define WINE_(\w+) (\d+) ", header)}
print(number["INPUTS"], "inputs,", number["OUTPUTS"], "outputs,", number["STEPS"], "steps")

# %% [markdown]
# A number `x` is an integer here: `x` times a power of two, rounded. The header says which power. Take the first wine
# of the test part, and give it to the program step by step:

# %%
import numpy as np
import torch

from litspike.data import Arrays

data = Arrays(path="litspike:wine.csv", label="grower")
data.setup("test")
samples, growers = next(iter(data.test_dataloader()))
wine, grower = samples[0], growers[0]

state = ctypes.create_string_buffer(4096)  # more than the struct needs
inputs = np.floor(wine.numpy() * 2 ** number["INPUT_FRACTION"] + 0.5).astype(np.int16)
output = np.zeros(number["OUTPUTS"], dtype=np.int16)
program.wine_init(state)
in_c = []
for _ in range(number["STEPS"]):
    program.wine_step(state, inputs.ctypes.data_as(ctypes.c_void_p), output.ctypes.data_as(ctypes.c_void_p))
    in_c.append(output / 2 ** number["OUTPUT_FRACTION"])

# %% [markdown]
# And the same wine in the network with floating-point numbers:

# %%
import litspike

task = litspike.load("zoo:arrays")
with torch.no_grad():
    in_torch, _ = task.network(wine.expand(number["STEPS"], 1, -1))  # [T, B, inputs]

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
for kind, colour in enumerate(("tab:blue", "tab:orange", "tab:green")):
    axes.plot(in_torch[:, 0, kind], color=colour, label=f"kind {kind}")
    axes.plot([step[kind] for step in in_c], "o", color=colour, markersize=4)
axes.set(xlabel="time step", ylabel="output", title="lines: litspike, points: C in integers")
axes.legend()

# %%
print("this wine is of kind", grower.item())
print("litspike says", in_torch.mean(0).argmax().item(), "and the C program", np.mean(in_c, axis=0).argmax())

# %% [markdown]
# The points lie on the lines, or close to them: it is the same network. Where a point is off its line, rounding moved a
# spike to the step before or after.
#
# ## Where it can go
#
# | to | with |
# | --- | --- |
# | a microcontroller | `--to c --integer 8` |
# | a program in C or C++ | `--to c` |
# | Python without litspike | `--to torch` |
# | a phone, a browser, a server | `--to onnx` |
# | neuromorphic hardware, another spiking library | `--to nir` |
#
# [Deploy](../deploy.md) has each of them, and what to do if rounding costs accuracy. From here on, the pages answer one
# question each.

"""The article's network and training, in NumPy: Linear(2→10) → spiking neuron → Linear(10→1), one step a batch.

    u ← u + W₁x + b₁;  s = 1 where u ≥ θ, else 0;  y = W₂s + b₂;  u ← u · (1 − s) · decay

The spike has no gradient, so that the loss moves W₂ and b₂ alone. The membrane goes from batch to batch.
"""

from __future__ import annotations

import numpy as np


class Article:
    """The network with its membrane, in the dtype of the weights."""

    def __init__(self, w1, b1, w2, b2, decay=0.9, threshold=1.0):
        self.w1, self.b1, self.w2, self.b2 = w1.copy(), b1.copy(), w2.copy(), b2.copy()
        self.decay, self.threshold = w1.dtype.type(decay), w1.dtype.type(threshold)
        self.u = w1.dtype.type(0)

    def forward(self, x):
        """[B, 2] → spikes [B, 10] and logits [B]."""
        one = self.w1.dtype.type(1)
        u = self.u + (x @ self.w1.T + self.b1)
        spikes = (u >= self.threshold).astype(self.w1.dtype)
        self.u = u * (one - spikes) * self.decay
        return spikes, (spikes @ self.w2.T + self.b2)[:, 0]


class Adam:
    """Adam after Kingma and Ba 2015, algorithm 1."""

    def __init__(self, learning_rate=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.learning_rate, self.beta1, self.beta2, self.epsilon = learning_rate, beta1, beta2, epsilon
        self.step, self.m, self.v = 0, {}, {}

    def update(self, parameters, gradients):
        """Change each array of ``parameters`` in place."""
        self.step += 1
        for name, g in gradients.items():
            self.m[name] = self.beta1 * self.m.get(name, 0) + (1 - self.beta1) * g
            self.v[name] = self.beta2 * self.v.get(name, 0) + (1 - self.beta2) * g * g
            m = self.m[name] / (1 - self.beta1**self.step)
            v = self.v[name] / (1 - self.beta2**self.step)
            parameters[name] -= self.learning_rate * m / (np.sqrt(v) + self.epsilon)


def train(article, batches, optimizer):
    """One pass of BCEWithLogits training over (x [B, 2], y [B]) batches; returns the spikes of each."""
    everything = []
    for x, y in batches:
        spikes, logits = article.forward(x)
        error = (1 / (1 + np.exp(-logits)) - y) / len(y)
        gradients = {"w2": (error @ spikes)[None], "b2": error.sum(keepdims=True)}
        optimizer.update({"w2": article.w2, "b2": article.b2}, gradients)
        everything.append(spikes)
    return everything

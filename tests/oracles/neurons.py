"""NumPy implementations of the neuron models, each written from its equation. They share nothing with litspike.

Each takes the input [T, M] and plain numbers, starts at rest and returns the output [T, M] and a dictionary of the
states after the last step.
"""

import numpy as np


def reset(u, fired, kind, threshold, value):
    return np.where(fired, {"zero": 0.0, "value": value, "subtract": u - threshold}[kind], u)


def integrate_and_fire(x, threshold=1.0, kind="zero", value=0.0, strict=False):
    u, out = np.zeros_like(x[0]), []
    for current in x:
        u = u + current
        fired = u > threshold if strict else u >= threshold
        u = reset(u, fired, kind, threshold, value)
        out.append(fired)
    return np.array(out, float), {"u": u}


def lif(
    x, decay=0.9, threshold=1.0, kind="zero", value=0.0, strict=False, leak="after_reset", scaled=False, refractory=0
):
    u, left, out = np.zeros_like(x[0]), np.zeros_like(x[0]), []
    for current in x:
        rests = left > 0
        new = decay * u if leak == "before_input" else u
        new = new + (1 - decay) * current if scaled else new + current
        fired = (new > threshold if strict else new >= threshold) & ~rests
        if leak == "before_reset":
            new = decay * new
        new = reset(new, fired, kind, threshold, value)
        if leak == "after_reset":
            new = decay * new
        u = np.where(rests, u, new)
        left = np.where(rests, left - 1, np.where(fired, refractory, 0))
        out.append(fired)
    return np.array(out, float), {"u": u, "r": left}


def leaky_integrator(x, decay=0.9, scaled=False):
    steps = np.arange(len(x))
    weights = np.where(steps[:, None] >= steps, float(decay) ** np.maximum(steps[:, None] - steps, 0), 0.0)
    u = weights @ x * ((1 - decay) if scaled else 1)
    return u, {"u": u[-1]}


def synaptic_lif(x, decay=0.9, synapse_decay=0.8, threshold=1.0, kind="zero", value=0.0):
    u, i, out = np.zeros_like(x[0]), np.zeros_like(x[0]), []
    for current in x:
        i = synapse_decay * i + current
        u = decay * u + i
        fired = u >= threshold
        u = reset(u, fired, kind, threshold, value)
        out.append(fired)
    return np.array(out, float), {"u": u, "i": i}


def adaptive_lif(x, decay=0.9, adaptation=0.1, adaptation_decay=0.97, threshold=1.0, kind="zero", value=0.0):
    u, a, out = np.zeros_like(x[0]), np.zeros_like(x[0]), []
    for current in x:
        u = decay * u + current
        effective = threshold + adaptation * a
        fired = u >= effective
        u = reset(u, fired, kind, effective, value)
        a = adaptation_decay * a + fired
        out.append(fired)
    return np.array(out, float), {"u": u, "a": a}


def symplectic_adaptive_lif(
    x, decay=0.9, adaptation_decay=0.97, a=20.0, b=60.0, threshold=1.0, kind="zero", value=0.0, scaled=True
):
    u, w, out = np.zeros_like(x[0]), np.zeros_like(x[0]), []
    for current in x:
        u = decay * u + (1 - decay) * (current / (1 if scaled else 1 - decay) - w)
        fired = u >= threshold
        u = reset(u, fired, kind, threshold, value)
        w = adaptation_decay * w + (1 - adaptation_decay) * (a * u + b * fired)
        out.append(fired)
    return np.array(out, float), {"u": u, "w": w}


def balanced_resonate_and_fire(x, frequency=1.2, damping=2.5, threshold=1.0, gamma=0.9, dt=0.01):
    omega = 2 * np.pi * frequency
    border = (-1 + np.sqrt(1 - (dt * omega) ** 2)) / dt
    z, q, out = np.zeros_like(x[0], complex), np.zeros_like(x[0]), []
    for current in x:
        z = z + dt * ((border - damping - q + 1j * omega) * z + current)
        fired = z.real >= threshold + q
        q = gamma * q + fired
        out.append(fired)
    return np.array(out, float), {"u": z.real, "v": z.imag, "q": q}


def graded_lif(x, decay=0.9, threshold=1.0, scaled=False):
    u, out = np.zeros_like(x[0]), []
    for current in x:
        u = decay * u + ((1 - decay) * current if scaled else current)
        sent = np.maximum(u - threshold, 0)
        u = np.minimum(u, threshold)
        out.append(sent)
    return np.array(out), {"u": u}


def adaptive_exponential(
    x, c=281.0, g=30.0, e=-70.6, vt=-50.4, slope=2.0, tau=144.0, a=4.0, b=80.5, peak=20.0, v_reset=-70.6, dt=0.1
):
    u, w, out = np.full_like(x[0], e), np.zeros_like(x[0]), []
    for current in x:
        swing = g * slope * np.exp(np.minimum((u - vt) / slope, 20))
        du = (-g * (u - e) + swing - w + current) / c
        dw = (a * (u - e) - w) / tau
        u, w = u + dt * du, w + dt * dw
        fired = u >= peak
        u, w = np.where(fired, v_reset, u), np.where(fired, w + b, w)
        out.append(fired)
    return np.array(out, float), {"u": u, "w": w}


def izhikevich(x, a=0.02, b=0.2, c=-65.0, d=8.0, threshold=30.0, dt=0.5):
    roots = np.roots([0.04, 5 - b, 140.0])
    v = np.full_like(x[0], roots.real.min())
    w, out = b * v, []
    for current in x:
        dv = 0.04 * v**2 + 5 * v + 140 - w + current
        dw = a * (b * v - w)
        v, w = v + dt * dv, w + dt * dw
        fired = v >= threshold
        v, w = np.where(fired, c, v), np.where(fired, w + d, w)
        out.append(fired)
    return np.array(out, float), {"u": v, "w": w}


def resonate_and_fire(x, decay=0.9, frequency=0.1, threshold=1.0, value=0.0, dt=1.0):
    z, out = np.zeros_like(x[0], complex), []
    for current in x:
        z = z * decay * np.exp(2j * np.pi * frequency * dt) + current
        fired = z.imag >= threshold
        z = np.where(fired, 1j * value, z)
        out.append(fired)
    return np.array(out, float), {"u": z.imag, "i": z.real}


def quadratic(x, k=1.0, critical=1.0, threshold=2.0, value=0.0, tau=10.0, dt=1.0):
    u, out = np.zeros_like(x[0]), []
    for current in x:
        u = u + dt / tau * (k * u * (u - critical) + current)
        fired = u >= threshold
        u = np.where(fired, value, u)
        out.append(fired)
    return np.array(out, float), {"u": u}


def lif_adjoint(x, decay, threshold, kind, detach, derivative, grad_spikes, grad_u):
    """Gradients of a LIF that leaks after its reset, derived by hand.

    Returns those of the input [T, M], of the state before the first step [M], of the decay and of the threshold, for
    the loss ``Σ grad_spikes · spikes + Σ grad_u · u`` with u after the last step.
    """
    u, before, spikes = np.zeros_like(x[0]), [], []
    for current in x:
        v = u + current
        s = (v >= threshold).astype(float)
        u = decay * (v * (1 - s) if kind == "zero" else v - s * threshold)
        before.append(v)
        spikes.append(s)
    grad_x, grad_decay, grad_threshold = np.zeros_like(x), 0.0, 0.0
    for t in reversed(range(len(x))):
        v, s = before[t], spikes[t]
        by_spike = decay * (v if kind == "zero" else threshold)  # what a spike takes off the state
        grad_s = grad_spikes[t] - (0 if detach else grad_u * by_spike)
        slope = grad_s * derivative(v - threshold)
        kept = 1 - s if kind == "zero" else np.ones_like(s)
        grad_decay += (grad_u * (v * (1 - s) if kind == "zero" else v - s * threshold)).sum()
        grad_threshold += -slope.sum() - (0 if kind == "zero" else (grad_u * decay * s).sum())
        grad_u = grad_u * decay * kept + slope
        grad_x[t] = grad_u
    return grad_x, grad_u, grad_decay, grad_threshold

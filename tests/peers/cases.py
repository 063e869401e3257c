"""What is compared with each peer: its settings, and ours that must give the same. It runs in both environments.

``ours`` are arguments of :class:`litspike.neurons.LIF`, with the surrogate as its name and its slope or width.
``exposes`` says which membrane potential the peer shows: that of ours after the step, or that before the reset.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    peer: str
    name: str
    theirs: dict[str, Any]
    ours: dict[str, Any]
    exposes: str = "after"
    scale: float = 1.0  # of the input, so that spikes are many
    tie: float | None = None  # the input that brings a neuron at rest exactly to its threshold, where floats have one

    def drive(self, noise: np.ndarray) -> np.ndarray:
        """Input of this case: scaled noise, the first step of the first neuron a tie."""
        x = noise * np.float32(self.scale)
        if self.tie is not None:
            x[0, 0, 0] = self.tie
        return x


CASES = [
    Case(peer, name, theirs, {**common, **ours}, "before" if peer == "snntorch" else "after", *more)
    for peer, common, cases in [
        (
            "snntorch",
            {"fires": "above", "detach_reset": True, "surrogate": ("ArcTan", 2.0)},
            [
                ("default", {"beta": 0.9}, {"decay": 0.9, "leak": "before_reset", "reset": "subtract"}, 1.0, 1.0),
                (
                    "other_numbers",
                    {"beta": 0.65, "threshold": 0.7},
                    {"decay": 0.65, "threshold": 0.7, "leak": "before_reset", "reset": "subtract"},
                    *(1.0, 0.7),
                ),
                (
                    "zero",
                    {"beta": 0.9, "reset_mechanism": "zero"},
                    {"decay": 0.9, "leak": "before_input", "reset": "zero"},
                    *(1.0, 1.0),
                ),
                (
                    "zero_at_once",
                    {"beta": 0.8, "reset_mechanism": "zero", "reset_delay": False},
                    {"decay": 0.8, "leak": "before_input", "reset": "zero", "detach_reset": False},
                    *(1.0, 1.0),
                ),
            ],
        ),
        (
            "spikingjelly",
            {"leak": "before_input", "surrogate": ("Sigmoid", 4.0)},
            [
                ("default", {}, {"decay": 0.5, "input_gain": "one_minus_decay"}, 3.0, 2.0),
                (
                    "other_numbers",
                    {"tau": 5.0, "v_threshold": 0.6},
                    {"decay": 0.8, "input_gain": "one_minus_decay", "threshold": 0.6},
                    4.0,
                ),
                ("undecayed_input", {"tau": 4.0, "decay_input": False}, {"decay": 0.75}, 1.0, 1.0),
                (
                    "leak_to_reset",
                    {"v_reset": -0.5},
                    {"decay": 0.5, "input_gain": "one_minus_decay", "threshold": 1.5},
                    4.0,
                ),
                (
                    "soft_detached",
                    {"tau": 4.0, "decay_input": False, "v_reset": None, "detach_reset": True},
                    {"decay": 0.75, "reset": "subtract", "detach_reset": True},
                    *(1.0, 1.0),
                ),
            ],
        ),
        (
            "norse",
            {
                **{"leak": "before_input", "input_gain": "one_minus_decay", "fires": "above"},
                "surrogate": ("FastSigmoid", 1.0),
            },
            [
                ("default", {}, {"decay": 0.9}, 8.0),
                ("exact", {"tau_mem_inv": 500.0}, {"decay": 0.5}, 3.0, 2.0),
                ("other_numbers", {"tau_mem_inv": 300.0, "v_th": 0.6}, {"decay": 0.7, "threshold": 0.6}, 3.0),
                (
                    "reset_value",
                    {"tau_mem_inv": 200.0, "v_reset": -0.4},
                    {"decay": 0.8, "reset": "value", "reset_value": -0.4},
                    5.0,
                ),
                (
                    "reset_subtract",
                    {"tau_mem_inv": 200.0, "reset_method": "reset_subtract"},
                    {"decay": 0.8, "reset": "subtract"},
                    5.0,
                ),
            ],
        ),
        (
            "sinabs",
            {"leak": "before_input", "reset": "subtract", "surrogate": ("Gaussian", 0.5)},
            [
                ("single_spike", {"tau_mem": 10.0}, {"tau": 10.0, "input_gain": "one_minus_decay"}, 5.0),
                (
                    "other_numbers",
                    {"tau_mem": 3.0, "spike_threshold": 0.7, "norm_input": False},
                    {"tau": 3.0, "threshold": 0.7},
                    *(1.0, 0.7),
                ),
                (
                    "reset",
                    {"tau_mem": 5.0, "norm_input": False, "reset_fn": "MembraneReset"},
                    {"tau": 5.0, "reset": "zero", "detach_reset": True},
                    *(1.0, 1.0),
                ),
                (
                    "multi_spike_below_two",
                    {"tau_mem": 5.0, "norm_input": False, "spike_fn": "MultiSpike"},
                    {"tau": 5.0},
                    *(0.4, 1.0),
                ),
            ],
        ),
    ]
    for name, theirs, ours, *more in cases
]

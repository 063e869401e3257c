"""Images turned, stretched and moved a little, so that few of them teach as much as many."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from litspike.settings import number


class Distortion:
    r"""Turns, stretches and moves each image at random, about its middle.

    Equation, from a place p in the distorted image to the place p' in the given one whose value it takes::

        p' = S R p + d        R turns by an angle from −turn to turn
                              S stretches by exp(r) in each direction, r from −stretch to stretch, S = diag(exp(r))
                              d moves by −shift to shift in each direction

    All are uniform, and drawn for each image. Values between pixels are interpolated linearly; 0 moves in from outside.
    Angles are in degrees, shifts in pixels; stretch is a relative change, about.

    Args:
        turn: largest angle, inside [0, 180].
        stretch: largest stretch, inside [0, 1].
        shift: largest shift, 0 or more.

    Raises:
        SettingError: if a setting is outside its range.

    Source: Simard, Steinkraus and Platt 2003, "Best practices for convolutional neural networks applied to visual
    document analysis", for its affine distortions.

    Example:
        >>> import torch
        >>> from litspike.data import Distortion
        >>> Distortion(turn=10, shift=1)(torch.rand(2, 1, 8, 8), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 1, 8, 8])
    """

    def __init__(self, turn: float = 0.0, stretch: float = 0.0, shift: float = 0.0) -> None:
        self.turn = number("turn", turn, "[0, 180]")
        self.stretch = number("stretch", stretch, "[0, 1]")
        self.shift = number("shift", shift, "[0, inf)")

    def __call__(self, images: Tensor, randomness: torch.Generator) -> Tensor:
        """Images [B, channels, height, width], distorted, of the same shape; drawn from a generator on the CPU."""
        height, width = images.shape[2:]
        angle, wide, high, right, down = 2 * torch.rand(5, len(images), generator=randomness) - 1
        angle = angle * math.radians(self.turn)
        wide, high = (wide * self.stretch).exp(), (high * self.stretch).exp()
        right, down = right * (2 * self.shift / width), down * (2 * self.shift / height)  # the image's side is 2
        aspect = height / width  # an angle is one of pixels, not of sides
        places = torch.stack(
            [
                torch.stack([wide * angle.cos(), -wide * angle.sin() * aspect, right], 1),
                torch.stack([high * angle.sin() / aspect, high * angle.cos(), down], 1),
            ],
            1,
        ).to(images)
        grid = functional.affine_grid(places, list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

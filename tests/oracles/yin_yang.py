"""The Yin–Yang figure, as a drawing: shapes laid over each other, the last one on top."""

import numpy as np


def classes(a, b):
    """Class of points [N] of the disc of diameter 1 in the unit square, as the picture of arXiv 2102.08211 shows it."""

    def inside(middle, radius):
        return (a - middle) ** 2 + (b - 0.5) ** 2 < radius**2

    picture = np.where(b > 0.5, 1, 0)  # the upper half is yang
    picture[inside(0.25, 0.25)] = 1  # it bulges down on the left
    picture[inside(0.75, 0.25)] = 0  # and is hollow on the right
    picture[inside(0.25, 0.1) | inside(0.75, 0.1)] = 2
    return picture

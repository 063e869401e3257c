"""How figures are written, wherever people read them."""

from __future__ import annotations

import pytest

from litspike.figure_text import written


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.99874, "0.9987"),
        (12.3, "12.3000"),
        (0.0, "0.0000"),
        (1.0, "1.0000"),
        (0.000123456, "0.0001235"),
        (-0.000123456, "-0.0001235"),
        (1.23456e-7, "1.235e-07"),
        (79601.375, "79601.3750"),
        (108463.0078, "108463"),
        (-8337792000.0, "-8.33779e+09"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_a_figure_has_the_digits_that_are_read_however_small_or_large_it_is(value: float, text: str):
    assert written(value) == text

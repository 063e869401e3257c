"""Checks of settings."""

from __future__ import annotations

import pytest

from litspike.settings import SettingError, integer, number


@pytest.mark.parametrize(("value", "interval"), [(0, "[0, 1]"), (1.0, "[0, 1]"), (0.5, "(0, 1)"), (1e30, "(0, inf)")])
def test_numbers_inside_pass_as_floats(value: float, interval: str):
    assert number("x", value, interval) == value
    assert isinstance(number("x", value, interval), float)


@pytest.mark.parametrize(
    ("value", "interval"),
    [
        (0, "(0, 1]"), (1, "[0, 1)"), (-1e-9, "[0, 1]"), (float("inf"), "(0, inf)"), (float("nan"), "[0, 1]"),
        ("1", "[0, 1]"), (True, "[0, 1]"), (None, "[0, 1]"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_its_name(value: object, interval: str):
    with pytest.raises(SettingError, match=r"^x: "):
        number("x", value, interval)


@pytest.mark.parametrize("value", [0, 1.0, "1", True, None])
def test_what_is_no_whole_number_from_one_on_is_refused(value: object):
    with pytest.raises(SettingError, match=r"^x: "):
        integer("x", value)

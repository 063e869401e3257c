"""Which types a comparison expects in the files it reads: litspike wrote them, and anybody may have edited them."""

from __future__ import annotations

from typing import Any

NUMBER = (int, float)
INTERVAL = (NUMBER, NUMBER)
"""The types of a list of just these entries."""

RECEIPT: dict[str, Any] = {
    "figures?": {"*": {"value": NUMBER, "interval?": INTERVAL}},
    "layers?": {"*": {}},
    "energy?": {"pj_per_mac": NUMBER, "pj_per_ac": NUMBER, "source": str, "settings?": {}},
    "anytime?": {"score": str, "steps": [NUMBER], "values": [NUMBER], "operations?": [NUMBER]},
    "checkpoint?": {"file?": str, "sha256?": str},
    "configuration?": {"changed_for_this_test?": {}},
}
SEEDS: dict[str, Any] = {"seeds": [int], "figures": {"*": {"mean": NUMBER, "interval?": INTERVAL}}}


def mismatch(value: Any, form: Any, place: str = "") -> str | None:
    """Where something isn't as a form says; None where it is.

    Args:
        value: what was read.
        form: a type or several, a list of the form of all entries, a tuple of the forms of each, or a dictionary of
            forms: ``*`` stands for any name, and of a name that ends with a question mark nothing is a value too.
        place: what it is called.
    """
    if form is NUMBER or isinstance(form, type):
        return None if isinstance(value, form) and not isinstance(value, bool) else place
    if isinstance(form, dict):
        return _mismatch_of_names(value, form, place)
    if not isinstance(value, list) or (isinstance(form, tuple) and len(value) != len(form)):
        return place
    forms = form if isinstance(form, tuple) else form * len(value)
    return next((wrong for each, one in zip(value, forms, strict=True) if (wrong := mismatch(each, one, place))), None)


def _mismatch_of_names(value: Any, form: dict[str, Any], place: str) -> str | None:
    if not isinstance(value, dict):
        return place
    for name, one in form.items():
        plain = name.removesuffix("?")
        names = list(value) if name == "*" else [plain]
        if name != plain and value.get(plain) is None:
            continue
        for each in names:
            if (wrong := mismatch(value.get(each), one, f"{place}.{each}".lstrip("."))) is not None:
                return wrong
    return None

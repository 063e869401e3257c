"""What a file must look like that a comparison reads: written by litspike, and then perhaps by anybody."""

from __future__ import annotations

from typing import Any

NUMBER = (int, float)
INTERVAL = (NUMBER, NUMBER)
"""The types of a list of just these entries."""

RECEIPT: dict[str, Any] = {
    "figures?": {"*": {"value": NUMBER, "interval?": INTERVAL}},
    "layers?": {"*": {}},
    "energy?": {"pj_per_mac": NUMBER, "pj_per_ac": NUMBER, "source": str},
    "anytime?": {"score": str, "steps": [NUMBER], "values": [NUMBER], "operations?": [NUMBER]},
    "configuration?": {"changed_for_this_test?": {}},
}
SEEDS: dict[str, Any] = {"seeds": [int], "figures": {"*": {"mean": NUMBER, "interval?": INTERVAL}}}


def misfit(said: Any, form: Any, place: str = "") -> str | None:
    """Where something isn't as a form says; None where it is.

    Args:
        said: what was read.
        form: a type or several, a list of the form of all entries, a tuple of the forms of each, or a dictionary of
            forms: ``*`` stands for any name, and of a name that ends with a question mark nothing is a value too.
        place: what it is called.
    """
    if form is NUMBER or isinstance(form, type):
        return None if isinstance(said, form) and not isinstance(said, bool) else place
    if isinstance(form, dict):
        return _misfit_of_names(said, form, place)
    if not isinstance(said, list) or (isinstance(form, tuple) and len(said) != len(form)):
        return place
    forms = form if isinstance(form, tuple) else form * len(said)
    return next((wrong for value, one in zip(said, forms, strict=True) if (wrong := misfit(value, one, place))), None)


def _misfit_of_names(said: Any, form: dict[str, Any], place: str) -> str | None:
    if not isinstance(said, dict):
        return place
    for name, one in form.items():
        plain = name.removesuffix("?")
        names = list(said) if name == "*" else [plain]
        if name != plain and said.get(plain) is None:
            continue
        for each in names:
            if (wrong := misfit(said.get(each), one, f"{place}.{each}".lstrip("."))) is not None:
                return wrong
    return None

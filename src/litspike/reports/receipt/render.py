"""The receipt as a text that is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from litspike.figure_text import interval, written

MOST_CLASSES = 40
"""The recall of each of more classes is in ``receipt.json`` alone."""


def markdown(receipt: dict[str, Any]) -> str:
    """The receipt as Markdown.

    Args:
        receipt: the content of ``receipt.json``.
    """
    parts = (_head, _figures, _classes, _anytime, _cost, _memory, _firing, _operations, _latency, _exports)
    return "\n".join(line for part in (*parts, _left_out, _origin) for line in part(receipt)).rstrip("\n") + "\n"


def _head(receipt: dict[str, Any]) -> Iterator[str]:
    size = receipt["parameters"]
    trained = "" if size["trained"] == size["all"] else f", {size['trained']:,} of them trained"
    steps = f", {receipt['time_steps']} time steps" if receipt.get("time_steps") else ""
    yield from ("# Receipt", "")
    samples = "" if receipt["samples"] is None else f"{receipt['samples']} test samples, "
    yield f"{samples}{size['all']:,} parameters{trained}{steps}. Written {receipt['written']}."
    yield ""


def _figures(receipt: dict[str, Any]) -> Iterator[str]:
    rows = []
    for name, figure in receipt["figures"].items():
        low, high = figure.get("interval", (None, None))
        about = f"none: {figure.get('no_interval')}" if low is None else f"{interval(low, high)} ({figure['of']})"
        rows.append((name, written(figure["value"]), about))
    yield from _table(("metric", "value", "95% interval"), rows)


def _classes(receipt: dict[str, Any]) -> Iterator[str]:
    there = [one for one in receipt.get("classes", []) if one["samples"]]
    if not there:
        return
    mean = sum(one["recall"] for one in there) / len(there)
    commonest = max(there, key=lambda one: one["samples"])
    yield f"Balanced accuracy, the mean of the recalls of all classes: {written(mean)}."
    if receipt.get("one_class_each", True) and receipt["samples"] == sum(one["samples"] for one in there):
        share = written(commonest["samples"] / receipt["samples"])
        yield f"Who always answers {commonest['class']} has an accuracy of {share}."
    yield ""
    if len(there) <= MOST_CLASSES:
        rows = [
            (one["class"], str(one["samples"]), written(one["recall"]), interval(*one["interval"])) for one in there
        ]
        yield from _table(("class", "samples", "recall", "95% interval (Wilson)"), rows)


def _anytime(receipt: dict[str, Any]) -> Iterator[str]:
    curve = receipt.get("anytime")
    if curve is None:
        return
    earliest = curve["earliest_step_with_99_percent"]
    at = curve["steps"].index(earliest)
    some = "" if len(curve["steps"]) == curve["steps"][-1] else f" (of {len(curve['steps'])} steps evaluated)"
    text = f"99% of the final {curve['score']} is reached at step {earliest} of {curve['steps'][-1]}{some}"
    if "operations" in curve:
        spent, full = curve["operations"][at], curve["operations"][-1]
        text += f", after {spent:,.1f} of {full:,.1f} synaptic operations a sample"
    yield from (f"{text}: `{curve['file']}`, `anytime.png`.", "")


def _cost(receipt: dict[str, Any]) -> Iterator[str]:
    if "energy" not in receipt:
        return
    done, joule = receipt["operations"], receipt["energy"]
    yield from ("## Cost of one sample", "")
    rows = [
        ("with spikes", done["macs"], done["acs"], joule["with_spikes"]),
        ("without spikes, one pass", done["dense_of_one_step"], 0, joule["without_spikes_one_pass"]),
        ("without spikes, every step", done["dense"], 0, joule["without_spikes_every_step"]),
    ]
    names = ("network", "multiply–accumulates", "accumulates", "energy of the arithmetic, nJ")
    yield from _table(names, [(name, f"{macs:,.1f}", f"{acs:,.1f}", f"{nj:,.4g}") for name, macs, acs, nj in rows])
    yield (
        "With spikes: what inputs and weights that are not zero make; an input of −1, 0 and 1 alone adds, any other "
        "multiplies. Without spikes, one pass: the same connections run once, as for a single time step, every product "
        "computed. Every step: as often as the spiking network ran them, every product computed."
    )
    yield ""
    yield (
        f"Energy: {joule['pj_per_mac']:.4g} pJ a multiply–accumulate, {joule['pj_per_ac']:.4g} pJ an accumulate "
        f"({joule['source']}). It is an estimate; not counted: {joule['not_counted']}."
    )
    yield ""


def _memory(receipt: dict[str, Any]) -> Iterator[str]:
    joule = receipt.get("energy", {})
    if "no_memory" in joule:
        yield from (f"Energy with memory is left out: {joule['no_memory']}.", "")
    if "with_memory" not in joule:
        return
    yield from ("### With memory", "")
    alone, spikes, plain = joule["with_spikes"], joule["with_memory"], joule["without_spikes_same_bits"]
    names = {"arithmetic": "arithmetic", "weights": "weights", "states": "states and currents", "events": "events"}
    rows: list[tuple[str, ...]] = [
        (name, f"{alone:,.4g}" if part == "arithmetic" else "–", f"{spikes[part]:,.4g}", f"{plain[part]:,.4g}")
        for part, name in names.items()
    ]
    rows.append(("all", *(f"{total:,.4g}" for total in (alone, spikes["total"], plain["total"]))))
    columns = ("energy of one sample, nJ", "arithmetic alone", "with memory", "without spikes, same bits")
    yield from _table(columns, rows)
    bits, of = joule["settings"], "every step" if joule["sequence"] else "one pass"
    levels = zip(bits["memory_kb"], bits["memory_pj"], strict=True)
    yield (
        f"An access of 64 bits: {', '.join(f'{pj:g} pJ up to {kb:g} kB' for kb, pj in levels)}, {bits['dram_pj']:g} pJ "
        f"beyond; a value of fewer bits takes its share. Weights: {bits['weight_bits']} bits; states: "
        f"{bits['state_bits']}. Without spikes: rectifiers in place of neurons, {of}, activations of "
        f"{joule['activation_bits']} bits, which stand where events do."
    )
    yield from ("", f"{_break_even(joule)}", "")


def _break_even(joule: dict[str, Any]) -> str:
    below, rate = joule["spikes_win_below"], f"{joule['firing_rate']:.4f}"
    if below is None:
        return "No neuron fired: no firing rate from which spikes lose is known."
    if below == "never":
        return "Spikes never win: a network of silent neurons takes as much as the one without spikes."
    if below == "always":
        return f"Spikes win at every firing rate; here it is {rate} spikes per neuron and step."
    return f"Spikes win below {below:.4f} spikes per neuron and step; here it is {rate}."


def _firing(receipt: dict[str, Any]) -> Iterator[str]:
    if not receipt.get("layers"):
        return
    yield from ("## Firing", "")
    rows = [
        (name, layer["model"], str(layer["neurons"]), layer["module"], *(f"{layer[key]:.4f}" for key in _SHARES))
        for name, layer in receipt["layers"].items()
    ]
    yield from _table(("layer", "model", "neurons", "module", "spikes per neuron and step", *_SHARES[1:]), rows)
    yield from ("Silent and saturated: shares of neurons without a spike, and with one at every step, in the test.", "")


_SHARES = ("rate", "sparsity", "silent", "saturated")


def _operations(receipt: dict[str, Any]) -> Iterator[str]:
    if "operations" not in receipt:
        return
    yield from ("## Synaptic operations of one sample", "")
    rows = []
    for name, layer in receipt["operations"]["connections"].items():
        once = ", once for all steps" if layer["computed_once"] else ""
        rows.append((name, f"{layer['layer']}{once}", *(f"{layer[kind]:,.1f}" for kind in ("dense", "macs", "acs"))))
    yield from _table(("connection", "", "dense", "effective MACs", "effective ACs"), rows)
    if any(layer["computed_once"] for layer in receipt["operations"]["connections"].values()):
        yield from ("An input that is the same at every step is computed, and counted, once.", "")
    if receipt["operations"]["not_counted"]:
        yield from (f"Not counted: {', '.join(receipt['operations']['not_counted'])}.", "")


def _latency(receipt: dict[str, Any]) -> Iterator[str]:
    if "latency" in receipt:
        found, on = receipt["latency"], receipt["machine"]
        where = f"{on['device']}, {on['threads']} threads" if on["device"] == "cpu" else on["device"]
        yield from ("## Latency", "")
        yield (
            f"{found['milliseconds']:.3f} ms for one sample alone, from encoder to readout: median of "
            f"{found['passes']} warm passes, {found['least']:.3f} to {found['greatest']:.3f} ms ({where})."
        )
        if "streamed_step_microseconds" in found:
            yield f"{found['streamed_step_microseconds']:.1f} µs for one time step fed by `litspike.networks.Stream`."
        yield ""


def _exports(receipt: dict[str, Any]) -> Iterator[str]:
    if not receipt.get("exports"):
        return
    yield from ("## Exports", "")
    rows = []
    for name, report in receipt["exports"].items():
        layers = [layer["equal"] for layer in report["layers"]]
        equal = f"{min(layers):.6g}" if layers else "–"
        metrics = ", ".join(
            f"{metric} {written(of[name])} ({written(of['litspike'])})" for metric, of in report["metrics"].items()
        )
        part = "all" if report["all_of_the_test_part"] else "the first"
        rows.append(
            (name, f"{part} {report['samples']}", equal, f"{report['values']['largest_difference']:.3g}", metrics)
        )
    names = ("format", "test samples", "least share of equal outputs of a layer", "largest difference of a value")
    yield from _table((*names, "metrics (litspike's)"), rows)
    yield from ("Each was run by its own reader or compiler; `export/FORMAT/fidelity.json` has every layer.", "")


def _left_out(receipt: dict[str, Any]) -> Iterator[str]:
    if receipt["left_out"]:
        yield from ("## Left out", "")
        yield from (f"- {part}: {reason}" for part, reason in receipt["left_out"].items())
        yield ""


def _origin(receipt: dict[str, Any]) -> Iterator[str]:
    yield from ("## Where it comes from", "")
    checkpoint, configuration = receipt["checkpoint"], receipt["configuration"]
    if checkpoint:
        epochs = f", {receipt['epochs']} epochs" if receipt["epochs"] else ""
        yield f"- checkpoint: `{checkpoint['file']}`{epochs}, sha256 `{checkpoint['sha256']}`"
    if "sha256" in configuration:
        yield f"- configuration of the training: sha256 `{configuration['sha256']}`"
    yield from _list("set otherwise for this test", configuration["changed_for_this_test"])
    yield from _list("seeds", receipt["seeds"])
    yield from _list("versions", receipt["versions"])
    yield from _list("machine", receipt["machine"])


def _list(title: str, entries: dict[str, Any]) -> Iterator[str]:
    if entries:
        yield f"- {title}: {', '.join(f'{name} {value}' for name, value in entries.items())}"


def _table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(names)} |"
    yield f"|{' --- |' * len(names)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""

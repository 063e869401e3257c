"""``compare``: runs side by side, on the console and on a page with their curves."""

from __future__ import annotations

from pathlib import Path

from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

from litspike.cli.alone import OneLineParser
from litspike.files import replace_text
from litspike.installation import program
from litspike.reports.compare import curves, tables
from litspike.reports.compare.collect import Subject, find
from litspike.reports.compare.page import letter, page
from litspike.settings import UserError
from litspike.terminal import Terminal, from_here

PAGE = "comparison.html"
RUNS = "Folder of a run, of an experiment (its newest finished run), or of a group of seeds (their mean)."


def compare(args: list[str], home: Path) -> int:
    """Print what the runs' receipts say side by side, and write a page with their curves.

    Args:
        args: the arguments after ``compare``.
        home: folder with ``logs/``, where the page is written unless ``--page`` names another file.

    Returns:
        The exit status 0.

    Raises:
        UserError: if an argument makes no sense, or names no run that can be read.
    """
    parser = OneLineParser("compare", "[-h] [--page FILE] RUN RUN [RUN ...]")
    parser.add_argument("runs", nargs="*", metavar="RUN", help=RUNS)
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        default=home / "logs" / PAGE,
        help=f"Page; by default logs/{PAGE}.",
    )
    given = parser.parse_args(args)
    if len(given.runs) < 2:
        raise UserError(f"compare: name two runs or more: `{program()} compare logs/A logs/B`")
    subjects = [find(name) for name in given.runs]
    _distinct(subjects)
    names = [f"{letter(place)}  {subject.name}" for place, subject in enumerate(subjects)]
    costs = tables.costs(subjects)
    shown = {"metrics": tables.metrics(subjects), **({"costs": costs} if costs else {})}
    shown["settings that differ"] = tables.differences(subjects)
    notes = _notes(subjects)
    print(*(f"{letter(place)}  {subject.folder}" for place, subject in enumerate(subjects)), sep="\n")
    _print(shown, len(subjects))
    print(*notes, sep="\n")
    drawn = {"training": curves.training(subjects), "anytime": curves.anytime(subjects)}
    pictures = {title: curves.draw(panels, names) for title, panels in drawn.items() if panels}
    given.page.parent.mkdir(parents=True, exist_ok=True)
    replace_text(given.page, page([str(subject.folder) for subject in subjects], shown, pictures, notes))
    print(f"page: {from_here(given.page)}")
    return 0


def _distinct(subjects: list[Subject]) -> None:
    folders = [subject.folder for subject in subjects]
    twice = next((folder for folder in folders if folders.count(folder) > 1), None)
    if twice is not None:
        raise UserError(f"compare: {twice} is named twice")


def _notes(subjects: list[Subject]) -> list[str]:
    """What is to be known beside the tables."""
    notes = []
    for place, subject in enumerate(subjects):
        if missing := subject.without_receipt():
            whose = f"{len(missing)} of its {len(subject.runs)} seeds" if subject.figures else letter(place)
            of = f"{letter(place)}: " if subject.figures else ""
            write = f"write one with `{program()} test --ckpt_path {missing[0]}`"
            notes.append(f"{of}no receipt of {whose}: {write}")
    for place, subject in enumerate(subjects):
        for changed in (
            receipt.get("configuration", {}).get("changed_for_this_test") for receipt in subject.receipts()
        ):
            if changed:
                otherwise = ", ".join(f"{name} {value}" for name, value in changed.items())
                notes.append(f"{letter(place)} was tested with {otherwise}")
        notes += [f"{letter(place)} was tested with {weights}" for weights in subject.of_other_weights()]
    energies = [receipt["energy"] for subject in subjects for receipt in subject.receipts() if receipt.get("energy")]
    sources = dict.fromkeys(
        f"energy: {energy['pj_per_mac']:.4g} pJ a multiply–accumulate, {energy['pj_per_ac']:.4g} pJ an accumulate; "
        f"{energy['source']}"
        for energy in energies
    )
    return [*notes, *sources]


def _print(shown: dict[str, list[tables.Row]], subjects: int) -> None:
    terminal = Terminal()
    letters = [letter(place) for place in range(subjects)]
    for title, rows in shown.items():
        if not rows:
            terminal.print(f"{title}: none", highlight=False)
            continue
        lines = [[title, *letters], *([row.name, *row.values] for row in rows)]
        if sum(max(map(cell_len, column)) + 3 for column in zip(*lines, strict=True)) + 1 > terminal.width:
            print(title)  # a table would cut what differs
            for row in rows:
                values = zip(letters, row.values, strict=True)
                print(f"  {row.name}", *(f"    {at}  {value}" for at, value in values), sep="\n")
            continue
        table = Table(title, *letters)
        for line in lines[1:]:
            table.add_row(*map(escape, line))
        terminal.print(table)

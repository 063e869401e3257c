"""What configs/time_series.yaml learns of three sets of the UCR and UEA archives, on their own split.

    python benchmarks/time_series.py
    python benchmarks/time_series.py --sets GunPoint --seeds 3

A set is `fit --seeds 5` of the one configuration, with the sizes of the set: fit and test from each seed. The test part
is the archive's; 5% of its training part are held out for validation, and choose nothing. Results are kept under
logs/time_series/ as they come. The series come with the package aeon: pip install --no-deps aeon.

The interval is that of the mean over seeds; the test part has the number of samples that stands beside it. Beside them
stands what aeon's own tables have for the same split (its files testing/example_results_files/classification/accuracy/
*.csv, column 0).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from litspike.cli import main as litspike
from litspike.cli.arguments import Call
from litspike.cli.seeds import group_folder, run_seeds

PROJECT = Path(__file__).resolve().parent.parent
QUIET = ["--console.epochs", "false", "--console.table", "false", "--pictures.every", "0"]
SIZES = {"GunPoint": (1, 150, 2, 150), "ItalyPowerDemand": (1, 24, 2, 1029), "JapaneseVowels": (12, 29, 9, 370)}
"""Name → features, steps, classes, and samples of the test part."""
PUBLISHED = {
    "GunPoint": "1.0000 HIVE-COTE 2, 1.0000 InceptionTime",
    "ItalyPowerDemand": "0.9699 HIVE-COTE 2, 0.9660 InceptionTime",
    "JapaneseVowels": "none there",
}


def arguments(name: str) -> list[str]:
    """The configuration with the sizes of a set."""
    features, steps, classes, _ = SIZES[name]
    sizes = [f"--model.network.features={features}", f"--model.network.steps={steps}"]
    sizes += [f"--model.readout.outputs={classes}"]
    files = [f"--data.path=aeon:{name}/{name}_TRAIN.ts", f"--data.test_path=aeon:{name}/{name}_TEST.ts"]
    return ["-c", str(PROJECT / "configs" / "time_series.yaml"), *sizes, *files]


def main(args: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=SIZES, default=[*SIZES], metavar="SET")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--logs", type=Path, default=PROJECT / "logs" / "time_series")
    parser.add_argument("--fit", nargs="*", default=[], metavar="SETTING", help="further settings of the fits")
    given = parser.parse_args(args)
    rows = []
    for name in given.sets:
        logs = ["--logs", str(given.logs / name)]
        call = Call(["fit", *arguments(name), *QUIET, *given.fit, *logs, "--seeds", str(given.seeds)], PROJECT)
        run_seeds(call, PROJECT, litspike)
        summary = json.loads((group_folder(call, PROJECT) / "seeds.json").read_text())["figures"]["test/accuracy"]
        spread = f" ± {summary['standard_deviation']:.4f}" if "standard_deviation" in summary else ""
        low, high = summary.get("interval", (float("nan"), float("nan")))
        mean = f"{summary['mean']:.4f}{spread} ({low:.4f} to {high:.4f})"
        rows.append(f"| {name} | {SIZES[name][3]} | {mean} | {PUBLISHED[name]} |")
    print(
        "| set | test samples | accuracy (95% interval of the mean) | published (tables of the package aeon) |",
        "|---|---|---|---|",
        sep="\n",
    )
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()

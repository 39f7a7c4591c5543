"""Searches of this build and of an earlier commit: recipes judged and best value by processor time.

`make bench-search BESIDE=COMMIT`, with ARGS="--seconds 240 --sets 2m" fewer. Sets: `2m`, two million generated
interactions over 700 days; `topics`, 1.2 million generated pairs without times. Both builds hold out the same rows, ask
the same users, and run with one thread. A recipe counts as judged if its NDCG@20 is known on all folds.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import generate
from benchmarks.beside import Build, builds, checked, environment

PROGRAM = Path(__file__).with_name("search_program.py")
SETS = ("2m", "topics")


def main() -> None:
    """Search each set with each build, and print a table."""
    parser = argparse.ArgumentParser(prog="make bench-search", description=__doc__)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seconds", type=float, default=900, help="of processor time")
    parser.add_argument("--beside", metavar="COMMIT")
    arguments = parser.parse_args()
    print(f"{'set':10}{'build':14}{'CPU s':>8}{'trials':>8}{'complete':>10}{'recipes':>9}{'NDCG@20':>9}")
    for name in arguments.sets.split(","):
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder, "rows.parquet")
            _write(name, rows)
            for build in builds(arguments.beside):
                for line in _by_time(_search(build, rows, arguments.seconds), arguments.seconds):
                    print(f"{name:10}{build.name:14}{line}", flush=True)


def _write(name: str, rows: Path) -> None:
    if name == "2m":
        generate.write(rows, 40_000, 10_000, 2_000_000, spread=2.5)
        return
    world = generate.interactions(30_000, 40_000, 1_200_000, topics=128, spread=3.0, mixture=0.02)
    columns = {"user_id": world.user_idx, "item_id": world.item_idx, "timestamp": np.zeros(len(world), np.int64)}
    pq.write_table(pa.table(columns), rows)


def _search(build: Build, rows: Path, seconds: float) -> list[dict[str, float | None]]:
    variables = environment({"PYTHONPATH": str(build.root), "OPENBLAS_NUM_THREADS": "1"})
    command = build.command("python", str(PROGRAM), str(rows), str(seconds), "7")
    return [json.loads(line) for line in checked(command, build.root, variables).splitlines()]


def _by_time(trials: list[dict[str, float | None]], seconds: float) -> list[str]:
    """A line for each quarter of the time: what was known by then."""
    lines = []
    for end in seconds * np.arange(1, 5) / 4:
        known = [trial for trial in trials if (trial["cpu_seconds"] or 0) <= end]
        values = [trial["best"] for trial in known if trial["best"] is not None]
        recipes = sum(trial["recipes"] or 0 for trial in known)
        best = f"{max(values):.4f}" if values else "none"
        lines.append(f"{end:8.0f}{len(known):8}{len(values):10}{recipes:9.0f}{best:>9}")
    return lines


if __name__ == "__main__":
    main()

"""`recjobs plan` against what nights then take, and the terms of `recjobs.core.estimate` that fit them.

First the whole plan, as the command printed it before the night, with how far off it may be; then step by step. Each
night is the first of an empty catalog, as in `benchmarks.night`. `--from FILE` fits what an earlier run wrote.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recjobs.config import load_settings  # first: it limits BLAS to one thread, before numpy is imported

import numpy as np  # isort: skip
from scipy.optimize import nnls  # isort: skip

from benchmarks import night  # isort: skip
from benchmarks.beside import THIS, checked, environment  # isort: skip
from local.spark import standalone  # isort: skip
from recjobs.adapters import machine  # isort: skip
from recjobs.adapters.artifact_store import ArtifactStore  # isort: skip
from recjobs.adapters.postgres import Database  # isort: skip
from recjobs.core import estimate  # isort: skip
from recjobs.core.estimate import Cost, Past, Size  # isort: skip
from recjobs.night.costs import NAME, past_nights  # isort: skip
from recjobs.night.night import begun_nights  # isort: skip

SIZES = night.SIZES | {"6m": (70_000, 15_000, 6_000_000)}
"""Users, items and interactions."""
READING, FITTING = ("one", "rows"), ("one", "interactions", "asked")
HOLDING, HOLDING_SOME = ("one", "rows", "read_ahead"), ("one", "interactions", "read_ahead")
TERMS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "extract": (READING, HOLDING, READING),
    "validate": (READING, ("one", "rows", "sorted"), ("one", "interactions")),
    "split": (("one", "interactions"), HOLDING, ("one", "interactions")),
    "train": (("one", "begun", "solved"), FITTING, ("one", "vectors")),
    "evaluate": (("one", "interactions", "judged"), FITTING, ("one", "asked")),
    "gate": (("one",), ("one", "asked", "read_ahead"), ("one",)),
    "refit": (("one", "solved"), FITTING, ("one", "vectors", "items")),
    "score": (("one", "interactions", "scored"), FITTING, ("one", "interactions", "places")),
    "inspect": (("one", "interactions"), FITTING, ("one", "items")),
    "publish": (("one", "places"), (*FITTING, "read_ahead"), ("one",)),
    "report": (("one", "interactions"), (*FITTING, "read_ahead"), ("one",)),
}
"""Of each step the terms of its seconds, of its memory and of its files: what it holds, makes and writes."""
ON_SPARK = {
    "validate": HOLDING_SOME,
    "train": (*HOLDING_SOME, "vectors"),
    "evaluate": (*HOLDING_SOME, "asked"),
    "refit": (*FITTING, "vectors"),
    "score": (*HOLDING_SOME, "asked", "vectors"),
    "inspect": (*HOLDING_SOME, "asked"),
}
"""The terms of the memory of a step's own process on Spark."""
DATABASE = ("one", "interactions", "places")
ALLOWED = {"interactions": 0.05, "memory, MiB": 0.25, "seconds": 0.25, "files, MiB": 0.05, "Postgres, MiB": 0.05}
"""How far off a plan may be, as a share of what the night took; seconds are scaled by the probe."""
MIB = 2.0**20


def main() -> None:
    """Print plan and truth of each night, then the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description=__doc__)
    parser.add_argument("--size", action="append", choices=SIZES, help="about how many interactions; 200k and 2m")
    parser.add_argument("--from", dest="earlier", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument(
        "--engine", choices=("local", "spark"), default="local", help="spark: on two workers of one core"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured here as well")
    arguments = parser.parse_args()
    load_settings()
    measured = [each for file in arguments.earlier for each in json.loads(file.read_text())]
    for size in (arguments.size or ("200k", "2m")) if not arguments.earlier else ():
        measured.append(measure(SIZES[size], arguments.engine))
        if arguments.json:
            arguments.json.write_text(json.dumps(measured, indent=1) + "\n")
    nights = [_past(each) for each in measured]
    for past, each in zip(nights, measured, strict=True):
        print(f"\n{past.size.interactions:,} interactions: planned / taken, and their ratio")
        if "plan" in each:  # not what an earlier version has measured
            print("\n".join(map(str, lines(each["plan"], past))))
        _compare(past, each["probe"], arguments.engine)
    if arguments.engine == "spark":
        print("\n".join(_on_spark(nights)))
        return
    print("\n".join(_table(nights)))
    print("PROBE_SECONDS =", round(float(np.median([each["probe"] for each in measured])), 3))


def measure(size: tuple[int, int, int], engine: str) -> dict[str, Any]:
    """Run one night; return what it cost and what the probe took before it."""
    with tempfile.TemporaryDirectory(prefix="bench") as folder, ExitStack() as stack:
        store = Path(folder) / "mlflow.db"
        with night.world(Path(folder) / "warm-up", "warm_up", night.WARM_UP, store) as (settings, reader_url):
            night.run(THIS, "warm_up", settings, reader_url)
        with night.world(Path(folder) / "night", "bench", size, store) as (settings, reader_url):
            if engine == "spark":
                with (Path(settings["RECJOBS_CATALOGS"]) / "bench.yaml").open("a") as catalog:
                    catalog.write("engine: spark\n")
                settings |= stack.enter_context(standalone(Path(folder) / "cluster")).settings
            plan = json.loads(
                checked(
                    THIS.command("recjobs", "plan", "--catalog", "bench", "--json"), THIS.root, environment(settings)
                )
            )
            probe = machine.probe()
            taken = night.run(THIS, "bench", settings, reader_url)
            artifacts = ArtifactStore(settings["RECJOBS_ARTIFACTS"], "bench")
            [begun] = begun_nights(artifacts)
            [past] = past_nights(artifacts, [begun], engine)
            cpu = {step: begun.files.noted(step, NAME)["cpu_seconds"] for step in past.steps}
            with Database(settings["RECJOBS_PUBLISHER_URL"], "bench").connect() as session:
                row = session.row("batch_bytes", batch_id=past.batch_id)
    figures = {"plan": plan, "probe": probe, "peak_mib": taken.peak_mib, "seconds": taken.seconds, "cpu": cpu}
    return figures | asdict(past) | {"database_bytes": row and int(row["bytes"])}


@dataclass(frozen=True)
class Line:
    """One figure of a whole plan beside what the night took."""

    what: str
    planned: float
    taken: float

    @property
    def ratio(self) -> float:
        """Planned in taken."""
        return self.planned / self.taken if self.taken else float("nan")

    @property
    def passes(self) -> bool:
        """Whether the plan is as near as ALLOWED says."""
        return abs(self.ratio - 1) <= ALLOWED[self.what]

    def __str__(self) -> str:
        allowed = f"within {ALLOWED[self.what]:.0%}"
        verdict = "yes" if self.passes else "NO"
        return (
            f"{self.what:<16}{self.planned:>14,.1f}{self.taken:>14,.1f}{self.ratio:>8.2f}   {allowed:<12}{verdict:>4}"
        )


def lines(plan: Mapping[str, Any], past: Past) -> list[Line]:
    """What `recjobs plan --json` printed before a night against what the night then was."""
    steps = past.steps.values()
    taken = {
        "interactions": (plan["size"]["interactions"], past.size.interactions),
        "memory, MiB": (plan["peak_bytes"] / MIB, max(step.peak_bytes or 0 for step in steps) / MIB),
        "seconds": (plan["seconds"], sum(step.seconds or 0 for step in steps)),
        "files, MiB": (plan["artifact_bytes"] / MIB, sum(step.disk_bytes or 0 for step in steps) / MIB),
        "Postgres, MiB": (plan["database_bytes"] / MIB, (past.database_bytes or 0) / MIB),
    }
    return [Line(what, *both) for what, both in taken.items()]


def _past(measured: Mapping[str, Any]) -> Past:
    steps = {step: Cost(**cost) for step, cost in measured["steps"].items()}
    return Past(measured["batch_id"], Size(**measured["size"]), steps, measured["database_bytes"])


def _compare(past: Past, probe: float, engine: str) -> None:
    expected = estimate.steps(past.size, (), probe / estimate.PROBE_SECONDS, on_spark=engine == "spark")
    for step in expected:
        parts = []
        for name, unit in (("seconds", 1.0), ("peak_bytes", MIB), ("disk_bytes", MIB)):
            planned, taken = getattr(expected[step], name) or 0, getattr(past.steps[step], name) or 0
            parts.append(f"{planned / unit:10.1f}{taken / unit:10.1f}{planned / taken if taken else 0:7.2f}")
        print(f"{step:<10}{'   '.join(parts)}")
    database = estimate.in_database(past.size)
    print(f"{'Postgres':<10}{database / MIB:10.1f}{(past.database_bytes or 0) / MIB:10.1f}")


def _table(nights: list[Past]) -> list[str]:
    """The table as Python, fitted to relative errors without negative terms."""
    lines = ["RATES: dict[str, Rate] = {"]
    for step, terms in TERMS.items():
        parts = []
        for name, of in zip(("seconds", "peak_bytes", "disk_bytes"), terms, strict=True):
            values = [(night.size, getattr(night.steps[step], name)) for night in nights if step in night.steps]
            parts.append(_fitted(of, [(size, value) for size, value in values if value]))
        lines.append(f'    "{step}": Rate({", ".join(parts)}),')
    lines += ["}", f"DATABASE: Terms = {_fitted(DATABASE, [(n.size, n.database_bytes or 0.0) for n in nights])}"]
    return lines


def _on_spark(nights: list[Past]) -> list[str]:
    """The memory on Spark as Python, fitted as `_table` is."""
    lines = ["ON_SPARK: Mapping[str, Terms] = {"]
    for step, terms in ON_SPARK.items():
        measured = [(night.size, float(night.steps[step].peak_bytes or 0)) for night in nights]
        lines.append(f'    "{step}": {_fitted(terms, measured)},')
    return [*lines, "}"]


def _fitted(terms: tuple[str, ...], measured: list[tuple[Size, float]]) -> str:
    if not measured:
        return "{}"
    design = np.array([[size.terms()[term] / value for term in terms] for size, value in measured])
    scale = design.max(axis=0)
    rates, _ = nnls(design / scale, np.ones(len(measured)))
    found = {term: rate for term, rate in zip(terms, rates / scale, strict=True) if rate > 0}
    return "{" + ", ".join(f'"{term}": {rate:.3g}' for term, rate in found.items()) + "}"


if __name__ == "__main__":
    main()

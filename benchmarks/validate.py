"""`validate` at 20 million rows: time against reading the mapped columns and writing them back, and peak memory.

`make bench-validate`, or with ARGS="--interactions 2000000", or with ARGS="--file F" for a Parquet file of your own
with user_id, item_id, timestamp (in seconds) and rating. Each run is a process of its own; ours and the floor take
turns, medians count. Targets: at most 2.5 times the floor and 1.5 GiB.

With ARGS="--shapes" the same rows are read also from a folder a month, whose ids are decimals and whose times are
nanoseconds, and from CSV: `extract` and `validate` of each take turns with those of the plain file. `validate` has to
stay within the plain file's time and memory; what reading another shape costs is `extract`'s.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from recjobs.catalog.files import load_catalog
from recjobs.config import load_settings

ROUNDS = 3
SIZES = ("users", "items", "interactions")
CATALOG = """
description: For measuring
sources:
  - path: rows.parquet
    columns: {user_id: user_id, item_id: item_id, occurred_at: timestamp, weight: rating}
    time: {unit: s}
"""
SHAPES = {
    "plain": CATALOG,
    "partitioned": """
description: For measuring
sources:
  - path: partitioned/month=*/*.parquet
    columns: {user_id: user_id, item_id: item_id, occurred_at: timestamp, weight: rating}
""",
    "csv": CATALOG.replace("rows.parquet", "rows.csv"),
}
"""Catalog files by how their rows are kept."""


def main() -> None:
    """Generate the rows, extract them once, then measure."""
    parser = argparse.ArgumentParser(prog="make bench-validate", description=__doc__)
    parser.add_argument("--users", type=int, default=138_493)
    parser.add_argument("--items", type=int, default=26_744)
    parser.add_argument("--interactions", type=int, default=20_000_000)
    parser.add_argument(
        "--child", choices=["generate", "reshape", "begin", "extract", "floor", "validate"], help=argparse.SUPPRESS
    )
    parser.add_argument("--shapes", action="store_true", help="compare a folder a month and CSV with the plain file")
    parser.add_argument("--catalog", default="bench", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help="take these rows instead of generating any")
    parser.add_argument("--batch-id", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _child(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        (where / "bench.yaml").write_text(CATALOG)
        names = ("RECJOBS_STATE", "RECJOBS_ARTIFACTS", "RECJOBS_CATALOGS", "RECJOBS_DATA")
        environment = {**os.environ, **dict.fromkeys(names, folder)}  # noqa: TID251 - for the processes it starts
        if arguments.file:
            (where / "rows.parquet").symlink_to(arguments.file.resolve())
        else:
            _run("generate", environment, *(f"--{name}={getattr(arguments, name)}" for name in SIZES))
        if arguments.shapes:
            _compare_shapes(where, environment)
            return
        batch = f"--batch-id={_run('begin', environment)['batch_id']}"
        extracted = _run("extract", environment, batch)
        print(
            f"{extracted['rows']:,} rows; extract {extracted['seconds']:.1f} s, {extracted['gib']:.2f} GiB", flush=True
        )
        taken: dict[str, list[dict[str, Any]]] = {"floor": [], "validate": []}
        for _ in range(ROUNDS):
            for name, runs in taken.items():
                runs.append(_run(name, environment, batch))
        seconds = {name: statistics.median(run["seconds"] for run in runs) for name, runs in taken.items()}
        peak = {name: max(run["gib"] for run in runs) for name, runs in taken.items()}
        ratio = seconds["validate"] / seconds["floor"]
        print(
            f"floor    {seconds['floor']:6.1f} s  {peak['floor']:.2f} GiB   reads the mapped columns, writes them back"
        )
        print(f"validate {seconds['validate']:6.1f} s  {peak['validate']:.2f} GiB   {ratio:.2f} times the floor")


def _compare_shapes(where: Path, environment: dict[str, str]) -> None:
    _run("reshape", environment)
    of_shape = dict[str, list[str]]()
    for shape, text in SHAPES.items():
        (where / f"{shape}.yaml").write_text(text)
        begun = _run("begin", environment, f"--catalog={shape}")
        of_shape[shape] = [f"--catalog={shape}", f"--batch-id={begun['batch_id']}"]
    steps = ("extract", "validate")
    taken: dict[tuple[str, str], list[dict[str, Any]]] = {(shape, step): [] for shape in SHAPES for step in steps}
    for _ in range(ROUNDS):
        for (shape, step), runs in taken.items():
            runs.append(_run(step, environment, *of_shape[shape]))
    if len(n_rows := {run["rows"] for runs in taken.values() for run in runs}) > 1:
        raise SystemExit(f"the shapes do not hold the same rows: {n_rows}")
    print(f"{n_rows.pop():,} rows; medians of {ROUNDS} turns, and the median of the ratios to the plain file's turn")
    for (shape, step), runs in taken.items():
        ratios = [run["seconds"] / plain["seconds"] for run, plain in zip(runs, taken["plain", step], strict=True)]
        seconds = statistics.median(run["seconds"] for run in runs)
        peak = max(run["gib"] for run in runs)
        print(f"{step:8} {shape:11} {seconds:6.1f} s  {peak:.2f} GiB   {statistics.median(ratios):.2f} times plain")


def _reshape(folder: Path) -> None:
    """Write `rows.parquet` as CSV, and as a folder a month with types that readers have to normalise."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    source = pq.ParquetFile(folder / "rows.parquet")
    columns = ["user_id", "item_id", "timestamp", "rating"]
    schema = pa.schema([source.schema_arrow.field(name) for name in columns])
    with pa_csv.CSVWriter(folder / "rows.csv", schema) as out:
        for number, batch in enumerate(source.iter_batches(1 << 20, columns=columns)):
            batch = batch.select(columns)
            out.write_batch(batch)
            at = batch["timestamp"].cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("ns", "UTC"))
            ids = [batch[name].cast(pa.decimal128(38, 0)) for name in ("user_id", "item_id")]
            rows = pa.table([*ids, at, batch["rating"]], names=columns)
            months = pc.strftime(at, "%Y-%m")
            for month in months.unique().to_pylist():
                part = folder / "partitioned" / f"month={month}" / f"part-{number:05d}.parquet"
                part.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(rows.filter(pc.equal(months, month)), part)


def _run(child: str, environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.validate", "--child", child, *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{child} failed")
    return {**json.loads(output.splitlines()[-1]), "gib": usage.ru_maxrss / 2**20}


def _child(arguments: argparse.Namespace) -> None:
    began, result = time.perf_counter(), dict[str, Any]()
    folder = Path(str(load_settings().data))
    if arguments.child == "generate":
        from benchmarks import generate

        generate.write(folder / "rows.parquet", arguments.users, arguments.items, arguments.interactions)
    elif arguments.child == "reshape":
        _reshape(folder)
    elif arguments.child == "floor":
        import pyarrow as pa
        import pyarrow.parquet as pq

        began = time.perf_counter()
        source = pq.ParquetFile(folder / "rows.parquet")
        columns = ["user_id", "item_id", "timestamp", "rating"]
        schema = pa.schema([source.schema_arrow.field(name) for name in columns])
        with pq.ParquetWriter(folder / "floor.parquet", schema, compression="zstd", compression_level=1) as out:
            for batch in source.iter_batches(1 << 20, columns=columns):
                out.write_batch(batch.select(columns))
    else:
        from recjobs.night.night import Night
        from recjobs.steps import begin, extract, validate

        catalog, began = load_catalog(arguments.catalog), time.perf_counter()
        if arguments.child == "begin":
            result = {"batch_id": begin.run(catalog, publish=False)["batch_id"]}
        else:
            night = Night.open(catalog, arguments.batch_id)
            done = {"extract": extract, "validate": validate}[arguments.child].run(night)
            result = {"rows": done["read"]}
    print(json.dumps({"seconds": time.perf_counter() - began, **result}))


if __name__ == "__main__":
    main()

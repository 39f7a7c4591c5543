"""Whole nights with two kernels of OpenBLAS on one machine: what depends on the processor.

`make bench-kernels`, or for one catalog `make bench-kernels ARGS=sample`: the first night of each catalog with each
kernel, in a Postgres and a state folder of its own. It fails unless both have the same verdict, at least 99.9% of the
lists are equal in their first 20 items and 99.4% whole, and items change places only where their scores differ by less
than the tolerance (docs/decisions/0024).
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.beside import environment
from local import ports
from local.postgres import Cluster
from recjobs.config import ROOT, load_settings
from recjobs.core.model.ranking import BITS

KERNELS = ("Haswell", "SkylakeX")
CATALOGS = ("sample", "online_retail")
FIRST, SAME_FIRST, SAME_WHOLE = 20, 0.999, 0.994
TOLERANCE = 2.0 ** (1 - BITS)


@dataclass(frozen=True)
class Result:
    """What a night decided, the kernel that it recorded, and its lists."""

    verdict: str
    kernel: str
    iterations: dict[str, int]
    lists: pa.Table


@dataclass(frozen=True)
class Difference:
    """Between two nights' lists: the users whose first items and whose lists differ, of n, and the largest difference
    of two scores in one place, as a share of the list's highest score, where the items differ."""

    n: int
    first: int
    whole: int
    apart: float

    @property
    def is_small(self) -> bool:
        """Whether it is what the documents promise."""
        few = self.first <= (1 - SAME_FIRST) * self.n and self.whole <= (1 - SAME_WHOLE) * self.n
        return few and self.apart <= TOLERANCE


def difference(one: pa.Table, other: pa.Table) -> Difference:
    """Compare two nights' lists of the same users."""
    assert one["user_id"].equals(other["user_id"])
    columns = [table[name].to_pylist() for table in (one, other) for name in ("item_ids", "scores")]
    first = whole = 0
    apart = 0.0
    for ids, scores, other_ids, other_scores in zip(*columns, strict=True):
        if ids == other_ids:
            continue
        whole += 1
        first += ids[:FIRST] != other_ids[:FIRST]
        if len(ids) != len(other_ids):
            return Difference(len(one), len(one), len(one), np.inf)
        places = [place for place, (a, b) in enumerate(zip(ids, other_ids, strict=True)) if a != b]
        largest = max(abs(scores[place] - other_scores[place]) for place in places)
        apart = max(apart, largest / max(abs(scores[0]), sys.float_info.min))
    return Difference(len(one), first, whole, apart)


def main() -> None:
    """Print a line for each catalog; exit 1 if one differs by more than is promised."""
    failed = False
    for catalog in sys.argv[1:] or CATALOGS:
        one, other = (_night(catalog, kernel) for kernel in KERNELS)
        found = difference(one.lists, other.lists)
        same = one.verdict == other.verdict and one.iterations == other.iterations
        failed |= not (same and found.is_small) or one.kernel == other.kernel
        print(
            f"{catalog}: {one.kernel} against {other.kernel}: verdict {one.verdict} / {other.verdict}, iterations "
            f"{one.iterations} / {other.iterations}, of {found.n:,} lists {found.first} differ in the first {FIRST}, "
            f"{found.whole} in all, by scores up to {found.apart:.1e} of the highest apart (allowed: {TOLERANCE:.1e})",
            flush=True,
        )
    sys.exit(failed)


def _night(catalog: str, kernel: str) -> Result:
    with tempfile.TemporaryDirectory(prefix="kernels") as folder, _world(Path(folder)) as settings:
        variables = environment(settings) | {"OPENBLAS_CORETYPE": kernel}
        recjobs = [sys.executable, "-m", "recjobs"]
        subprocess.run([*recjobs, "migrate"], cwd=ROOT, env=variables, check=True, capture_output=True)
        command = [*recjobs, "night", "--catalog", catalog, "--json"]
        done = subprocess.run(command, cwd=ROOT, env=variables, check=True, stdout=subprocess.PIPE, text=True)
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        night = Path(folder) / "state" / "artifacts" / catalog / result["batch_id"]
        manifest = json.loads((night / "score" / "manifest.json").read_text())
        chunks = sorted(name for name in manifest["files"] if name.startswith("top_n-"))
        steps = result["steps"]
        return Result(
            steps["gate"]["verdict"],
            manifest["kernel"],
            {"train": steps["train"]["iterations"]},
            pa.concat_tables([pq.read_table(night / "score" / name) for name in chunks]),
        )


@contextmanager
def _world(folder: Path) -> Iterator[dict[str, str]]:
    cluster = Cluster(folder / "postgres", ports.any_free())
    cluster.start()
    try:
        yield cluster.urls() | {
            "RECJOBS_STATE": str(folder / "state"),
            "RECJOBS_ARTIFACTS": str(folder / "state" / "artifacts"),
            "RECJOBS_DATA": str(load_settings().data),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        }
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()

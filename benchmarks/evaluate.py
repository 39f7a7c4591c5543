"""`recjobs evaluate` on sets without times: tuned, beside an earlier commit, the fixed blend and simple lists.

`make bench-evaluate`, with BESIDE=COMMIT against that commit. A fifth of each user's pairs, drawn at random, is to be
found. Sets: `topics`, 1.2 million generated pairs (30,000 users, 40,000 items, tastes of 128 topics); `dense`, 400,000
(12,000 users, 9,000 items, 48 topics); `online_retail`, the pairs of that catalog, where its data is there. To choose:
ARGS="--sets dense --tune 5m --cpu"; with --cpu a search lasts so many seconds of processor time, which a busy machine
does not shorten. The fixed blend is ALS, neighbours and random walks (.5, .2, .3), without a search. The lists are
measured once more by an evaluator that shares no code with recjobs: plain Python over sets.
"""

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import generate
from benchmarks.beside import Build, builds, checked, environment
from recjobs.errors import RecjobsError

TEST_SHARE = 0.2
SETS = ("topics", "dense", "online_retail")
BY_PROCESSOR_TIME = """
import runpy, sys, time
time.monotonic = time.process_time
sys.argv[0] = "recjobs"
runpy.run_module("recjobs", run_name="__main__")
"""
"""Starts the command line with a clock of processor time."""
STAGE = ("trained", "why_not", "users", "ndcg_first_stage", "ndcg_second_stage")
METRICS = ("ndcg_at_20", "recall_at_20")


def main() -> None:
    """Evaluate each set with each build, with the fixed blend, and print a table."""
    parser = argparse.ArgumentParser(prog="make bench-evaluate", description=__doc__)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--tune", default="15m")
    parser.add_argument("--cpu", action="store_true", help="count processor time, not time")
    parser.add_argument("--beside", metavar="COMMIT")
    arguments = parser.parse_args()
    pair = builds(arguments.beside)
    ratios = []
    for name in arguments.sets.split(","):
        with tempfile.TemporaryDirectory() as folder:
            where = Path(folder)
            if not (size := _write(name, where)):
                continue
            values = {}
            for build in pair:
                report = _evaluate(build, where, ["--tune", arguments.tune], cpu=arguments.cpu)
                values[build.name] = report["models"]["recipe"]
                _print(f"{name}, {build.name}, searched {arguments.tune}", report, _measured(where))
            report = _evaluate(pair[0], where, _fixed_blend(size), cpu=arguments.cpu)
            fixed = report["models"]["recipe"]
            _print(f"{name}, the fixed blend", report, _measured(where))
        ours = values[pair[0].name]
        lines = [f"{metric} to the fixed blend {ours[metric] / fixed[metric]:.3f}" for metric in METRICS]
        if arguments.beside:
            ratios.append(ours["ndcg_at_20"] / values[pair[1].name]["ndcg_at_20"])
            lines.insert(0, f"ndcg_at_20 to {pair[1].name} {ratios[-1]:.3f}")
        print(f"{name}: {', '.join(lines)}", flush=True)
    if ratios:
        print(f"geometric mean to {pair[1].name}: {math.exp(sum(map(math.log, ratios)) / len(ratios)):.3f}")


def _pairs(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(user_idx, item_idx) of a set's distinct pairs, sorted by user."""
    if name == "topics":
        world = generate.interactions(30_000, 40_000, 1_200_000, topics=128, spread=3.0, mixture=0.02)
    elif name == "dense":
        world = generate.interactions(12_000, 9_000, 400_000, topics=48, spread=2.0, mixture=0.05)
    else:
        from benchmarks import looks

        world = looks.interactions_of(name)
    user_idx, item_idx = np.divmod(world.distinct_pairs(), world.n_items)
    return user_idx, item_idx


def _write(name: str, where: Path) -> tuple[int, int] | None:
    """Write train and test; return the numbers of users and items in train. None: the set's data is not there."""
    try:
        user_idx, item_idx = _pairs(name)
    except RecjobsError as error:
        print(f"{name} is left out: {error}", file=sys.stderr)
        return None
    drawn = np.random.default_rng(7).permutation(user_idx.size)
    order = drawn[np.argsort(user_idx[drawn], kind="stable")]  # by user, each user's pairs shuffled
    n_of = np.bincount(user_idx)
    place = np.arange(user_idx.size) - np.repeat(np.cumsum(n_of) - n_of, n_of)
    is_test = place < np.round(TEST_SHARE * n_of)[user_idx[order]]
    for file, rows in (("train", order[~is_test]), ("test", order[is_test])):
        columns = {"user_id": user_idx[rows], "item_id": item_idx[rows]}
        pq.write_table(pa.table(columns), where / f"{file}.parquet")
    size = (int(np.count_nonzero(n_of)), np.unique(item_idx[order[~is_test]]).size)
    print(f"\n{name}: {user_idx.size:,} pairs, {size[0]:,} users, {size[1]:,} items", flush=True)
    return size


def _fixed_blend(size: tuple[int, int]) -> list[str]:
    """The recipe of the fixed blend; its regularization is that of lambda 0.003 for each row."""
    recipe = {
        "factors": 192,
        "alpha": 20,
        "iterations": 12,
        "frequency_scaling": 1,
        "regularization": 0.003 * math.sqrt(size[0] * size[1]),
        "blend": 0.5,
        "random_walk": 0.6,
    }
    return [text for key, value in recipe.items() for text in ("--set", f"{key}={value}")]


def _evaluate(build: Build, where: Path, options: Sequence[str], *, cpu: bool) -> dict[str, Any]:
    files = ["--train", "train.parquet", "--test", "test.parquet", "--lists", "lists.parquet", *options, "--json"]
    start = ["-c", BY_PROCESSOR_TIME] if cpu else ["-m", "recjobs"]
    variables = environment({"PYTHONPATH": str(build.root), "RECJOBS_THREADS": str(os.cpu_count() or 1)})
    return dict(
        json.loads(checked(build.command("python", *start, "evaluate", *files), where, variables).splitlines()[-1])
    )


def _print(title: str, report: dict[str, Any], measured: tuple[float, float]) -> None:
    """Print a report, after comparing it with the independent evaluator's figures."""
    print(f"\n{title}\n{'':20}{'recall@20':>12}{'ndcg@20':>12}{'seconds':>10}")
    for name, of in report["models"].items():
        print(f"{name:20}{of['recall_at_20']:12.6f}{of['ndcg_at_20']:12.6f}{of['seconds']:10.1f}")
    print(f"{'the lists, again':20}{measured[0]:12.6f}{measured[1]:12.6f}")
    print(f"recipe {json.dumps(report['recipe'])}")
    if report["search"]:
        print(f"search {json.dumps(report['search'])}")
    if stage := report.get("second_stage"):  # a build before decision 88 has none
        print(f"second stage {json.dumps({name: stage[name] for name in STAGE})}")
    print(f"in all {report['seconds']:.0f} s, {report['peak_memory_gib']:.2f} GiB", flush=True)
    ours = report["models"]["recipe"]
    for ours_is, again in zip((ours["recall_at_20"], ours["ndcg_at_20"]), measured, strict=True):
        if not math.isclose(ours_is, again, abs_tol=1e-9):
            raise SystemExit(f"{title}: recjobs says {ours_is}, and its lists measured again {again}")


def _measured(where: Path) -> tuple[float, float]:
    """recall@20 and ndcg@20 of the lists, user by user."""
    relevant, shown = dict[str, set[str]](), dict[str, list[str]]()
    for user, item in _rows(where / "test.parquet", "user_id", "item_id"):
        relevant.setdefault(str(user), set()).add(str(item))
    for user, rank, item in _rows(where / "lists.parquet", "user_id", "rank", "item_id"):
        assert rank == len(shown.setdefault(user, [])) + 1
        shown[user].append(item)
    recalls, ndcgs = [], []
    for user, items in relevant.items():
        ranks = [rank for rank, item in enumerate(shown[user][:20], 1) if item in items]
        recalls.append(len(ranks) / len(items))
        best = sum(1 / math.log2(1 + rank) for rank in range(1, min(20, len(items)) + 1))
        ndcgs.append(sum(1 / math.log2(1 + rank) for rank in ranks) / best)
    return math.fsum(recalls) / len(recalls), math.fsum(ndcgs) / len(ndcgs)


def _rows(path: Path, *columns: str) -> Any:
    table = pq.read_table(path)
    return zip(*(table[name].to_pylist() for name in columns), strict=True)


if __name__ == "__main__":
    main()

"""`recjobs evaluate` on 1.2 million generated pairs without times: tuned, as it comes, and against simple lists.

`make bench-evaluate`, or with ARGS="--tune 5m". 30,000 users, 40,000 items, tastes of 128 topics; a fifth of each
user's pairs, drawn at random, is to be found. The written lists are measured once more by an evaluator that shares no
code with recjobs: plain Python over sets.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import generate

TEST_SHARE = 0.2


def main() -> None:
    """Generate, evaluate with and without a search, and measure the lists again."""
    parser = argparse.ArgumentParser(prog="make bench-evaluate", description=__doc__)
    parser.add_argument("--users", type=int, default=30_000)
    parser.add_argument("--items", type=int, default=40_000)
    parser.add_argument("--pairs", type=int, default=1_200_000)
    parser.add_argument("--tune", default="15m")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        _write(where, arguments.users, arguments.items, arguments.pairs)
        for tune in ([], ["--tune", arguments.tune]):
            report = _evaluate(where, tune)
            recall, ndcg = _measured(where)
            print(f"\n{' '.join(tune) or 'default recipe'}")
            print(f"{'':20}{'recall@20':>12}{'ndcg@20':>12}{'seconds':>10}")
            for name, of in report["models"].items():
                print(f"{name:20}{of['recall_at_20']:12.6f}{of['ndcg_at_20']:12.6f}{of['seconds']:10.1f}")
            print(f"{'the lists, again':20}{recall:12.6f}{ndcg:12.6f}")
            print(f"recipe {json.dumps(report['recipe'])}")
            if report["search"]:
                print(f"search {json.dumps(report['search'])}")
            print(f"in all {report['seconds']:.0f} s, {report['peak_memory_gib']:.2f} GiB", flush=True)
            ours = report["models"]["recipe"]
            assert math.isclose(ours["recall_at_20"], recall, abs_tol=1e-9)
            assert math.isclose(ours["ndcg_at_20"], ndcg, abs_tol=1e-9)


def _write(where: Path, n_users: int, n_items: int, n_pairs: int) -> None:
    world = generate.interactions(n_users, n_items, n_pairs, topics=128, spread=3.0, mixture=0.02)
    drawn = np.random.default_rng(7).permutation(len(world))
    order = drawn[np.argsort(world.user_idx[drawn], kind="stable")]  # by user, each user's pairs shuffled
    n_of = np.bincount(world.user_idx, minlength=n_users)
    place = np.arange(len(world)) - np.repeat(np.cumsum(n_of) - n_of, n_of)
    is_test = place < np.round(TEST_SHARE * n_of)[world.user_idx[order]]
    for name, rows in (("train", order[~is_test]), ("test", order[is_test])):
        columns = {"user_id": world.user_idx[rows], "item_id": world.item_idx[rows]}
        pq.write_table(pa.table(columns), where / f"{name}.parquet")
    print(
        f"{len(world):,} pairs, {np.count_nonzero(n_of):,} users, {np.unique(world.item_idx).size:,} items", flush=True
    )


def _evaluate(where: Path, tune: list[str]) -> dict[str, Any]:
    files = ["--train", "train.parquet", "--test", "test.parquet", "--lists", "lists.parquet", *tune, "--json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}  # noqa: TID251 - for the child
    command = [sys.executable, "-m", "recjobs", "evaluate", *files]
    done = subprocess.run(command, cwd=where, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


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

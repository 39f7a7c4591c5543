"""Two nights as other people write them: a tutorial's, and an experienced engineer's. Each is one short script.

Both read the interactions with pandas, fit implicit's ALS with the hyperparameters of our own night and 15 iterations,
and write lists to Postgres. The tutorial's writes a row for each user and rank, 20 of each user, in place of those of
the day before; the engineer's the whole list of 100 as arrays by `execute_values`. Neither validates, evaluates or
explains.

    python -m benchmarks.peer_nights tutorial ROWS.parquet postgresql://... [--before SECONDS] [--lists OUT.npz]

`--before` fits on the interactions before an instant and writes each user's first 20 to OUT.npz, for `judged`.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as implicit asks for

import numpy as np  # isort: skip
import pandas as pd  # isort: skip
import psycopg2  # isort: skip
from implicit.cpu.als import AlternatingLeastSquares  # isort: skip
from psycopg2.extras import execute_values  # isort: skip
from scipy.sparse import csr_matrix  # isort: skip

TUTORIAL, ENGINEER = "tutorial", "engineer"
FACTORS, ALPHA, REGULARIZATION, ITERATIONS = 64, 10.0, 60.0, 15
"""Those of the catalog file in `benchmarks.night`, without its blend, which implicit has not."""
STORED = {TUTORIAL: 20, ENGINEER: 100}
K = 20


def main() -> None:
    """Run one of the two; print the seconds of its stages, `read`, `fit`, `lists` and `write`, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peer_nights", description=__doc__)
    parser.add_argument("night", choices=STORED)
    parser.add_argument("rows", type=Path, help="Parquet: user_id, item_id, timestamp in seconds")
    parser.add_argument("url", help="a Postgres in which tables may be made")
    parser.add_argument("--before", type=int, metavar="SECONDS", help="fit on interactions before that, write no table")
    parser.add_argument("--lists", type=Path, metavar="OUT.npz", help="the first 20 of each user, with --before")
    arguments = parser.parse_args()
    seconds, began = dict[str, float](), time.perf_counter()

    def ended(stage: str) -> None:
        seconds[stage] = time.perf_counter() - began - sum(seconds.values())

    rows = pd.read_parquet(arguments.rows, columns=["user_id", "item_id", "timestamp"])
    if arguments.before is not None:
        rows = rows[rows["timestamp"] < arguments.before]
    users, user_ids = pd.factorize(rows["user_id"], sort=True)
    items, item_ids = pd.factorize(rows["item_id"], sort=True)
    user_items = csr_matrix((np.ones(len(rows), np.float32), (users, items)), shape=(len(user_ids), len(item_ids)))
    user_items.sum_duplicates()
    ended("read")
    model = AlternatingLeastSquares(
        factors=FACTORS, alpha=ALPHA, regularization=REGULARIZATION, iterations=ITERATIONS, random_state=7
    )
    model.fit(user_items, show_progress=False)
    ended("fit")
    if arguments.before is not None:
        lists, _ = _lists(model, user_items, K)
        np.savez(arguments.lists, user_ids=user_ids, items=item_ids.to_numpy()[lists])
        return
    lists, scores = _lists(model, user_items, STORED[arguments.night])
    ended("lists")
    write = {TUTORIAL: _rows, ENGINEER: _arrays}[arguments.night]
    with psycopg2.connect(arguments.url) as connection, connection.cursor() as cursor:
        write(cursor, user_ids.to_numpy(), item_ids.to_numpy()[lists], scores)
    ended("write")
    print(json.dumps(seconds))


def _lists(model: AlternatingLeastSquares, user_items: csr_matrix, n: int) -> tuple[np.ndarray, np.ndarray]:
    parts = []
    for first in range(0, user_items.shape[0], 1000):
        some = np.arange(first, min(first + 1000, user_items.shape[0]))
        parts.append(model.recommend(some, user_items[some], N=n, filter_already_liked_items=True))
    lists, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
    return lists, scores


def _rows(cursor, user_ids: np.ndarray, lists: np.ndarray, scores: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    cursor.execute("create table if not exists peer_rows (user_id text, rank int, item_id text, score real)")
    cursor.execute("delete from peer_rows")
    values = (
        (str(user), rank, str(item), float(score))
        for user, items, of_items in zip(user_ids, lists, scores, strict=True)
        for rank, (item, score) in enumerate(zip(items, of_items, strict=True), 1)
    )
    execute_values(cursor, "insert into peer_rows values %s", values, page_size=10_000)
    cursor.execute("create index if not exists peer_rows_user on peer_rows (user_id)")


def _arrays(cursor, user_ids: np.ndarray, lists: np.ndarray, scores: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    cursor.execute("create table if not exists peer_lists (user_id text primary key, items text[], scores real[])")
    cursor.execute("truncate peer_lists")
    values = (
        (str(user), [str(item) for item in items], of_items.tolist())
        for user, items, of_items in zip(user_ids, lists, scores, strict=True)
    )
    execute_values(cursor, "insert into peer_lists values %s", values, page_size=1_000)


if __name__ == "__main__":
    main()

"""One search of one build, printed trial by trial; started by `benchmarks.search` with that build's Python and modules.

Arguments: a Parquet file with user_id, item_id, timestamp (all 0: no times); processor seconds; seed. It imports
nothing of `benchmarks`, and knows where 457a3fa and later commits have their search.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq


def module(*names: str) -> Any:
    """The first of these modules that the build has."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise SystemExit(f"none of {names}")


def interactions(path: str) -> Any:
    """The rows of the file, as the build holds them."""
    rows = pq.read_table(path)
    users, items = (np.unique(rows[name].to_numpy(), return_inverse=True) for name in ("user_id", "item_id"))
    kind = module("recjobs.core.rows.interactions", "recjobs.core.interactions").Interactions
    n = rows.num_rows
    columns = {
        "user_idx": users[1].astype(np.int32),
        "item_idx": items[1].astype(np.int32),
        "occurred_at": rows["timestamp"].to_numpy() * 1_000_000,
        "weight": np.ones(n, np.float32),
        "kind": np.full(n, -1, np.int16),
    }
    order = np.lexsort((columns["item_idx"], columns["user_idx"]))
    return kind(**{name: of[order] for name, of in columns.items()}, n_users=len(users[0]), n_items=len(items[0]))


def main() -> None:
    """Search; print a line of JSON for each trial: processor seconds so far, state, value, recipes judged."""
    path, seconds, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    train = interactions(path)
    search = module("recjobs.core.search.brief", "recjobs.core.brief_search")
    recipe = module("recjobs.core.recipe").Recipe
    began = time.process_time()

    def told(trials: list[Any]) -> None:
        trial = trials[-1]
        others = [float(np.mean(one.folds)) for one in getattr(trial, "variants", ())]
        line = {
            "cpu_seconds": round(time.process_time() - began, 2),
            "state": trial.state,
            "recipes": 1 + len(others) if trial.state == "complete" else 0,
            "best": max([trial.value, *others]) if trial.state == "complete" else None,
            "recipe": str(trial.recipe),
        }
        print(json.dumps(line), flush=True)

    clock: Callable[[], float] = time.process_time
    has_times = bool(np.ptp(train.occurred_at))
    first = recipe(factors=64, alpha=20.0, regularization=20.0, iterations=15)
    search.brief_search(
        train, first, has_times=has_times, seconds=seconds, seed=seed, threads=1, clock=clock, told=told
    )


if __name__ == "__main__":
    main()

"""Interactions with structure, for measuring: Zipf-like items, log-normal activity, latent topics."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recjobs.core.rows.interactions import Interactions

TOPICS = 32


def interactions(
    n_users: int,
    n_items: int,
    n_interactions: int,
    seed: int = 7,
    *,
    topics: int = TOPICS,
    spread: float = 1.4,
    mixture: float = 0.08,
) -> Interactions:
    """About n_interactions distinct pairs over 700 days, sorted by user and item. Same arguments, same rows.

    spread: how differently topics like an item (standard deviation of its logarithm); mixture: how evenly a user likes
    topics (Dirichlet's concentration).
    """
    rng = np.random.default_rng(seed)
    appeal = 1 / (np.arange(n_items) + 20.0) ** 0.95 * np.exp(rng.normal(0, spread, (topics, n_items)))
    cumulative = np.cumsum(appeal / appeal.sum(1, keepdims=True), axis=1)
    activity = np.exp(rng.normal(0, 1.1, n_users))
    activity = np.clip(activity / activity.mean() * n_interactions / n_users, 8, n_items * 0.1)
    tastes = rng.dirichlet(np.full(topics, mixture), n_users) * 0.85 + 0.15 / topics
    pairs = []
    for topic in range(topics):
        users = np.repeat(np.arange(n_users, dtype=np.int64), rng.poisson(1.6 * activity * tastes[:, topic]))
        items = np.searchsorted(cumulative[topic], rng.random(users.size))
        pairs.append(users * n_items + np.minimum(items, n_items - 1))
    distinct = np.unique(np.concatenate(pairs))
    if distinct.size > n_interactions:
        distinct = np.sort(rng.choice(distinct, n_interactions, replace=False))
    at = rng.integers(1_700_000_000, 1_760_000_000, distinct.size) * 1_000_000
    return Interactions(
        (distinct // n_items).astype(np.int32),
        (distinct % n_items).astype(np.int32),
        at,
        np.ones(distinct.size, np.float32),
        np.full(distinct.size, -1, np.int16),
        n_users,
        n_items,
    )


def write(path: Path, n_users: int, n_items: int, n_interactions: int, spread: float = 1.4) -> None:
    """Write such interactions as a source has them: integer ids, a rating, seconds, and in the order of time."""
    world = interactions(n_users, n_items, n_interactions, spread=spread)
    order = np.argsort(world.occurred_at)
    columns = {
        "user_id": world.user_idx[order].astype(np.int64) * 7 + 1_000_003,
        "item_id": world.item_idx[order].astype(np.int64) * 13 + 17,
        "rating": np.ones(len(world), np.float32),
        "timestamp": world.occurred_at[order] // 1_000_000,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    pq.write_table(pa.table(columns), unfinished, compression="zstd", compression_level=1)
    unfinished.rename(path)


def read(path: Path) -> Interactions:
    """Interactions of a Parquet file with the columns user_id, item_id and timestamp (seconds)."""
    rows = pq.read_table(path, columns=["user_id", "item_id", "timestamp"])
    users, items = (rows[name].combine_chunks().dictionary_encode() for name in ("user_id", "item_id"))
    return Interactions(
        users.indices.to_numpy(),
        items.indices.to_numpy(),
        rows["timestamp"].to_numpy() * 1_000_000,
        np.ones(rows.num_rows, np.float32),
        np.full(rows.num_rows, -1, np.int16),
        len(users.dictionary),
        len(items.dictionary),
    )

"""What ours is measured beside: the nights that others write, the judge of their lists, and the server's own COPY."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import copying, peer_nights, peers
from tests.worlds import Postgres

N_USERS, N_ITEMS, DAY = 60, 200, 86_400


def rows(folder: Path) -> Path:
    """Users of two tastes: the even ones take even items. The last day is that of the judge."""
    rng = np.random.default_rng(4)
    user = np.repeat(np.arange(N_USERS), 30)
    item = 2 * rng.integers(0, N_ITEMS // 2, user.size) + user % 2
    at = 1_760_000_000 - rng.integers(31 * DAY, 60 * DAY, user.size)
    at[::10] = 1_760_000_000 - rng.integers(0, 20 * DAY, at[::10].size)
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"user_id": user + 1000, "item_id": item + 5, "timestamp": at}), path)
    return path


@pytest.mark.parametrize(("name", "table", "stored"), [("tutorial", "peer_rows", 20), ("engineer", "peer_lists", 100)])
def test_a_peer_writes_a_list_of_every_user_without_what_was_taken(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, name: str, table: str, stored: int
):
    path, url = rows(tmp_path), postgres.cluster.url()
    monkeypatch.setattr(sys, "argv", ["peer", name, str(path), url])
    try:
        for _ in range(2):  # the second night replaces the first
            peer_nights.main()
        found = postgres.rows(f"select * from public.{table}", role="admin", catalog="public")
    finally:
        postgres.rows(f"drop table if exists public.{table}", role="admin")
    pairs = [(row["user_id"], item) for row in found for item in (row["items"] if "items" in row else [row["item_id"]])]
    assert len(pairs) == len(set(pairs)) == N_USERS * stored
    read = pq.read_table(path).to_pandas()
    assert not set(pairs) & set(zip(read["user_id"].astype(str), read["item_id"].astype(str), strict=True))


def test_the_judge_asks_about_the_last_days_and_sees_a_peers_tastes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = rows(tmp_path)
    honest = peers.judged(path, tmp_path, "not used", 30)
    assert 0.05 < honest <= 1
    shuffled = pq.read_table(path).to_pandas()
    recent = shuffled["timestamp"] >= shuffled["timestamp"].max() + 1 - 30 * DAY
    shuffled.loc[recent, "item_id"] = (shuffled.loc[recent, "item_id"] - 5 ^ 1) + 5  # the other taste
    pq.write_table(pa.Table.from_pandas(shuffled), path)
    assert peers.judged(path, tmp_path, "not used", 30) < honest / 2


def test_our_copy_and_the_servers_fill_the_same_table(postgres: Postgres):
    of_users = {"user_id": ["a", "b", "c"], "item_ids": [["1", "2"], [], ["3"]], "scores": [[0.5, 0.25], [], [1.0]]}
    kinds = [pa.string(), pa.list_(pa.string()), pa.list_(pa.float32())]
    lists = pa.table(of_users, pa.schema(list(zip(of_users, kinds, strict=True))))
    expected = lists.to_pylist()
    try:
        with copying.loads(lists, postgres.cluster) as (ours, servers):
            for load in (ours, servers):
                postgres.rows("truncate public.lists", role="admin")
                load()
                assert postgres.rows("select * from public.lists order by user_id", role="admin") == expected
    finally:
        postgres.rows("drop table if exists public.lists", role="admin")

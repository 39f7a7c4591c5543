"""`recjobs evaluate --train --test`: by hand, against ranx and against the metrics' definitions written out once more,
on nothing but two files: no setting, no catalog, no database."""

import math

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.commands import Command

K = 20


@pytest.fixture
def evaluate(tmp_path):
    """Runs the command in an empty home; `recjobs evaluate --train T --test T ...`."""

    def run(*arguments, **settings):
        return Command(("evaluate", *map(str, arguments)), {"HOME": str(tmp_path / "home"), **settings}).wait()

    (tmp_path / "home").mkdir()
    return run


def written(folder, name, pairs, **columns):
    path = folder / name
    rows = pd.DataFrame(pairs, columns=["user_id", "item_id"]).assign(**columns)
    rows.to_csv(path, index=False) if ".csv" in name else rows.to_parquet(path, index=False)
    return path


def split(n_users=120, n_items=60, seed=5):
    """Train and test pairs of users with four tastes. Some users and items are in one part only, some pairs in both."""
    rng = np.random.default_rng(seed)
    pairs = []
    for user in range(n_users):
        liked = np.arange(n_items)[np.arange(n_items) % 4 == user % 4]
        chosen = {*rng.choice(liked, rng.integers(2, 12), replace=False), *rng.choice(n_items, 2)}
        pairs += [(f"0{user}", f"item/{item}") for item in chosen]
    pairs = [pairs[n] for n in rng.permutation(len(pairs))]
    cut = len(pairs) * 3 // 4
    train, test = pairs[:cut], pairs[cut:]
    train = [(user, item) for user, item in train if user not in ("00", "01")]
    test += [*train[:10], ("0new", "item/1"), ("05", "only in test"), ("0new", "only in test")]
    test += [("0many", f"item/{item}") for item in range(25)]  # more than a list holds
    return train, test


def by_definition(train, test, lists):
    """recall@20 and ndcg@20 as they are written down, user by user, from the lists of the file."""
    seen, wanted, shown = ({} for _ in range(3))
    for user, item in train:
        seen.setdefault(user, set()).add(item)
    for user, item in test:
        if item not in seen.get(user, ()):
            wanted.setdefault(user, set()).add(item)
    for row in lists.itertuples():
        shown.setdefault(row.user_id, {})[row.rank] = row.item_id
    recall, ndcg = [], []
    for user, items in wanted.items():
        ranks = [rank for rank, item in shown.get(user, {}).items() if rank <= K and item in items]
        recall.append(len(ranks) / len(items))
        best = sum(1 / math.log2(1 + rank) for rank in range(1, min(K, len(items)) + 1))
        ndcg.append(sum(1 / math.log2(1 + rank) for rank in ranks) / best)
    return np.mean(recall), np.mean(ndcg)


def test_popularity_by_hand(evaluate, tmp_path):
    train = [("007", "a"), ("7", "a"), ("NA", "a"), ("007", "b"), ("7", "b"), ("NA", "c"), ("d", "d")]
    test = [("007", "c"), ("007", "d"), ("7", "b"), ("d", "a"), ("new", "a"), ("new", "x")]
    done = evaluate(
        "--train", written(tmp_path, "train.csv", train), "--test", written(tmp_path, "test.csv", test), "--json"
    )
    assert done.code == 0, done.err
    # 007 has c, d left, both wanted; 7 wants nothing new; d sees a first; new finds a at the top, and x nowhere
    found = done.json["models"]["popularity_all"]
    assert found["recall_at_20"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert found["ndcg_at_20"] == pytest.approx((1 + 1 + 1 / (1 + 1 / math.log2(3))) / 3)
    assert done.json["users"] == 3
    assert (done.json["users_without_train"], done.json["pairs_in_both"]) == (1, 1)
    assert (done.json["items_without_train"], done.json["pairs_without_train"]) == (1, 1)
    assert "popularity_30d" not in done.json["models"]


def test_the_numbers_are_those_of_the_lists_by_definition_and_by_ranx(evaluate, tmp_path, monkeypatch):
    # To compile ranx takes half a minute, to run it as it stands a moment.
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    import ranx

    train, test = split()
    files = written(tmp_path, "train.parquet", train), written(tmp_path, "test.csv.gz", test)
    out = tmp_path / "lists.parquet"
    done = evaluate("--train", files[0], "--test", files[1], "--lists", out, "--set", "factors=8", "--json")
    assert done.code == 0, done.err
    table = pq.read_table(out)
    assert table.schema.names == ["user_id", "rank", "item_id", "score"]
    lists = table.to_pandas()
    assert set(lists["user_id"]) == {user for user, _ in test}
    assert not set(zip(lists["user_id"], lists["item_id"], strict=True)) & set(train)
    assert "only in test" not in set(lists["item_id"])
    of_users = lists.groupby("user_id", sort=False)
    assert all(rows["rank"].tolist() == list(range(1, len(rows) + 1)) for _, rows in of_users)
    assert all((np.diff(rows["score"]) < 0).all() for _, rows in of_users)
    assert (of_users.size() == K).all()

    ours = done.json["models"]["recipe"]
    recall, ndcg = by_definition(train, test, lists)
    assert ours["recall_at_20"] == pytest.approx(recall, abs=1e-9)
    assert ours["ndcg_at_20"] == pytest.approx(ndcg, abs=1e-9)

    wanted = {}
    for user, item in set(test) - set(train):
        wanted.setdefault(user, {})[item] = 1
    run = {user: dict(zip(rows["item_id"], rows["score"], strict=True)) for user, rows in of_users if user in wanted}
    theirs = ranx.evaluate(ranx.Qrels(wanted), ranx.Run(run), ["recall@20", "ndcg@20"])
    assert ours["recall_at_20"] == pytest.approx(theirs["recall@20"], abs=1e-9)
    assert ours["ndcg_at_20"] == pytest.approx(theirs["ndcg@20"], abs=1e-9)
    assert ours["ndcg_at_20"] > done.json["models"]["popularity_all"]["ndcg_at_20"] > 0


def test_a_tuned_recipe_is_the_one_that_is_asked_and_written(evaluate, tmp_path):
    train, test = split()
    files = written(tmp_path, "train.parquet", train), written(tmp_path, "test.parquet", test)
    out = tmp_path / "lists.parquet"
    worse = ("--set", "factors=1", "--set", "alpha=0.1", "--set", "iterations=2")
    done = evaluate("--train", files[0], "--test", files[1], "--lists", out, "--tune", "4s", *worse, "--json")
    assert done.code == 0, done.err
    search = done.json["search"]
    assert search["trials"] >= 1
    assert search["ndcg_at_20"] >= search["ndcg_at_20_of_the_first"]
    assert search["held_out"].startswith("10% of the pairs, at random, ")
    assert (done.json["recipe"]["factors"] == 1) == (search["ndcg_at_20"] == search["ndcg_at_20_of_the_first"])
    assert "users can be learned from, 200 are needed" in done.json["second_stage"]["why_not"]
    assert not done.json["recipe"]["rerank"]
    recall, ndcg = by_definition(train, test, pq.read_table(out).to_pandas())
    ours = done.json["models"]["recipe"]
    assert (ours["recall_at_20"], ours["ndcg_at_20"]) == pytest.approx((recall, ndcg), abs=1e-9)


def seasons(n_users=500, n_items=150, seed=3):
    """Train and test: who comes takes what is in season, for 20 days of 100 an item; test is what a day later is."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.uniform(0, 102, 9 * n_users))
    item = (at * n_items / 102 + rng.uniform(-15, 15, at.size)).astype(int) % n_items
    rows = pd.DataFrame({"user_id": rng.integers(0, n_users, at.size), "item_id": item, "at": at}).astype(str)
    rows["occurred_at"] = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(at, unit="D").floor("s")
    return rows[at < 100].drop(columns="at"), rows.loc[at >= 100, ["user_id", "item_id"]]


def test_a_search_ends_with_a_second_stage_where_it_is_better_beyond_doubt(evaluate, tmp_path):
    """What is in season, factors cannot know, and a ranker can, from the items' trends."""
    paths = [tmp_path / "train.parquet", tmp_path / "test.parquet"]
    for path, rows in zip(paths, seasons(), strict=True):
        rows.to_parquet(path, index=False)
    command = ("--train", paths[0], "--test", paths[1], "--json")
    plain, tuned = evaluate(*command), evaluate(*command, "--tune", "1s")
    assert (plain.code, tuned.code) == (0, 0), tuned.err
    assert (plain.json["second_stage"], plain.json["recipe"]["rerank"]) == (None, False)
    stage = tuned.json["second_stage"]
    assert (stage["trained"], tuned.json["recipe"]["rerank"]) == (True, True), stage
    assert stage["ndcg_second_stage"] > stage["ndcg_first_stage"]
    assert tuned.json["models"]["recipe"]["ndcg_at_20"] > 1.5 * plain.json["models"]["recipe"]["ndcg_at_20"]


def test_with_times_there_is_what_was_popular_lately_and_a_recipe_may_ask_for_age(evaluate, tmp_path):
    train = [(f"u{n}", "old") for n in range(5)] + [(f"v{n}", "new") for n in range(3)]
    at = ["2024-01-01"] * 5 + ["2024-05-30"] * 3
    files = written(tmp_path, "train.csv", train, occurred_at=at), written(tmp_path, "test.csv", [("w", "new")])
    command = ("--train", files[0], "--test", files[1])
    done = evaluate(*command, "--set", "half_life_days=7", "--json")
    assert done.code == 0, done.err
    assert done.json["recipe"]["half_life_days"] == 7
    assert done.json["models"]["popularity_30d"]["ndcg_at_20"] == pytest.approx(1)
    assert done.json["models"]["popularity_all"]["ndcg_at_20"] == pytest.approx(1 / math.log2(3))


def test_without_json_it_is_a_table_to_read(evaluate, tmp_path):
    files = written(tmp_path, "train.csv", [("u", "i"), ("v", "j")]), written(tmp_path, "test.csv", [("u", "j")])
    done = evaluate("--train", files[0], "--test", files[1])
    assert done.code == 0, done.err
    for text in ("recall@20", "popularity all           1.00000", "factors=64", "1 users", "GiB"):
        assert text in done.out
    assert "asking popularity_all" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--train", "{train}"], 64, "--train alone: --train says what to learn from, --test what is to be found"),
        (["--test", "{test}"], 64, "--test alone"),
        (["--train", "{train}", "--test", "{test}", "--catalog", "sample"], 64, "leave --catalog and --batch-id out"),
        (["--catalog", "sample"], 64, "--catalog and --batch-id for a step of a night, or --train and --test for two"),
        (["--catalog", "sample", "--batch-id", "B", "--seed", "5"], 64, "--seed: belongs to --train and --test"),
        (["--train", "{train}", "--test", "{test}", "--tune", "soon"], 64, "write 90s, 15m or 2h"),
        (["--train", "{train}", "--test", "{test}", "--tune", "5s"], 65, "2 interactions, too few to hold some out"),
        (["--train", "{train}", "--test", "{test}", "--set", "factors=0"], 64, "model.factors: 0"),
        (["--train", "{train}", "--test", "{test}", "--set", "seen=allow"], 64, "seen: is no part of a recipe"),
        (["--train", "{train}", "--test", "{test}", "--set", "half_life_days=7"], 64, "has no column occurred_at"),
        (["--train", "{train}", "--test", "{test}", "--lists", "{folder}/lists.csv"], 64, "end with .parquet"),
        (["--train", "{train}", "--test", "{test}", "--lists", "{folder}/no/l.parquet"], 64, "there is no folder"),
        (["--train", "{train}", "--test", "{train}"], 65, "nothing is to be found: all 2 pairs stand in"),
        (["--train", "{folder}/none.csv", "--test", "{test}"], 65, "none.csv: there is no such file"),
        (["--train", "{train}", "--test", "{test}"], 0, ""),
    ],
)
def test_what_cannot_be_is_said_with_the_right_exit_code(evaluate, tmp_path, arguments, code, why):
    names = {"train": written(tmp_path, "train.csv", [("u", "i"), ("v", "j")]), "folder": tmp_path}
    names["test"] = written(tmp_path, "test.csv", [("u", "j")])
    done = evaluate(*(text.format(**names) for text in arguments))
    assert (done.code, why in done.err) == (code, True), done.err
    assert "defect" not in done.err

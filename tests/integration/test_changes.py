"""What changed with the live batch, and what the nights did, as the database tells it."""

from collections import Counter

from recjobs import NIGHT
from tests.worlds import MakeWorld, World, handful


def counted(lists: list[list[str]], served: int) -> dict[str, tuple[int, int]]:
    """item -> (lists that serve it, lists with it among the first ten)"""
    in_lists = Counter(item for items in lists for item in items[:served])
    in_tops = Counter(item for items in lists for item in items[: min(10, served)])
    return {item: (n, in_tops[item]) for item, n in in_lists.items()}


def test_exposure_says_in_how_many_lists_each_item_is(published: World):
    for batch in published.rows("select batch_id, top_n_served from batches"):
        lists = published.rows("select item_ids from top_n where batch_id = %s", batch["batch_id"], role="admin")
        found = published.rows("select * from exposure where batch_id = %s", batch["batch_id"])
        assert {row["item_id"]: (row["n_lists"], row["n_top10"]) for row in found} == counted(
            [row["item_ids"] for row in lists], batch["top_n_served"]
        )
        assert len(found) > 50


def test_the_previous_batch_is_the_one_that_was_live_before(published: World):
    first, second = [row["batch_id"] for row in published.rows("select batch_id from batches order by as_of")]
    previous = published.rows("select batch_id, ended_by from previous_batch")
    assert previous == [{"batch_id": first, "ended_by": "publish"}]
    lists = published.rows("select user_id, item_ids, batch_id from previous_lists order by user_id")
    made = "select user_id, item_ids[1:10] as item_ids, batch_id from top_n where batch_id = %s order by user_id"
    assert lists == published.rows(made, first, role="admin")
    assert {row["batch_id"] for row in published.rows("select batch_id from previous_items")} == {first}

    connection = published.postgres.connect("admin", published.name)
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("select roll_back(null, 'a test')")
        cursor.execute("select batch_id, ended_by from previous_batch")
        assert cursor.fetchall() == [(second, "roll_back")]
        cursor.execute("select distinct batch_id from previous_lists")
        assert cursor.fetchall() == [(second,)]
        cursor.execute("update batch_records set pruned_at = now() where batch_id = %s", (second,))
        cursor.execute("select count(*) from previous_batch")
        assert cursor.fetchall() == [(0,)]
    connection.rollback()
    connection.close()


def test_the_lists_of_a_kept_batch_are_read_by_its_name_as_its_night_made_them(published: World):
    first, second = [row["batch_id"] for row in published.rows("select batch_id from batches order by as_of")]
    for batch_id in (first, second):
        lists = published.rows(
            "select user_id, array_agg(item_id order by rank) as item_ids from kept_recommendations"
            " where batch_id = %s group by user_id order by user_id", batch_id,
        )  # fmt: skip
        made = (
            "select user_id, item_ids[1:10] as item_ids from top_n where batch_id = %s and item_ids <> '{}'"
            " order by user_id"
        )
        assert lists == published.rows(made, batch_id, role="admin")
        assert len(lists) > 100
    live = "select user_id, rank, item_id, score, source from recommendations order by user_id, rank"
    kept = "select user_id, rank, item_id, score, source from kept_recommendations where batch_id = %s order by 1, 2"
    assert published.rows(live) == published.rows(kept, published.live()), "there are no rules"
    assert published.rows("select * from kept_recommendations where batch_id = 'none'") == []

    connection = published.postgres.connect("admin", published.name)
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("update batch_records set pruned_at = now() where batch_id = %s", (first,))
        cursor.execute("select distinct batch_id from kept_recommendations")
        assert cursor.fetchall() == [(second,)]
    connection.rollback()
    connection.close()


def test_segments_are_those_of_the_popular_lists(published: World):
    segments = "select segment, count(*) as n_items from popular_items group by segment order by segment"
    assert published.rows("select segment, n_items from segments order by segment") == published.rows(segments)


def test_each_step_of_a_night_is_noted_with_its_times(published: World):
    rows = published.rows("select * from steps where batch_id = %s order by started_at", published.live())
    assert [row["step"] for row in rows] == list(NIGHT)
    assert {row["state"] for row in rows} == {"done"}
    times = [at for row in rows for at in (row["started_at"], row["ended_at"])]
    assert times == sorted(times)


def test_a_refused_step_is_noted_and_a_night_that_cannot_note_goes_on_all_the_same(make_world: MakeWorld):
    world = make_world(handful([("a", "x", 1.0), ("b", "y", 2.0)]))
    refused = world.night("--as-of", "2001-01-01")
    assert refused.code == 65
    states = world.rows("select batch_id, step, state from steps order by started_at")
    assert [(row["step"], row["state"]) for row in states] == [("extract", "done"), ("validate", "refused")]

    world.rows("revoke execute on function note_step from recjobs_publisher", role="admin")
    done = world.recjobs("extract", "--batch-id", states[0]["batch_id"])
    assert done.code == 0, done.err
    assert "could not be noted" in done.err
    assert world.rows("select batch_id, step, state from steps order by started_at") == states

"""What a process remembers is what the database says: never of another batch, never of rules that are over."""

import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from tests.webapp_world import World, shop_batch
from webapp.lists.from_memory import CachedList
from webapp.lists.rendering import RenderedList
from webapp.lists.response_cache import ResponseCache
from webapp.lists.rules import Rule, RuleSet
from webapp.postgres.connection_pool import connection_pool

pytest_plugins = ["tests.webapp_fixtures"]

FIRST, SECOND = "20240101T000000Z-1", "20240102T000000Z-1"


def test_nothing_is_learnt_of_a_batch_that_is_not_live(world: World):
    world.make_catalog("moved")
    for seed, batch_id in enumerate((FIRST, SECOND)):
        world.publish("moved", shop_batch(batch_id, seed=seed))
    app = world.client().application
    with app.app_context(), connection_pool().session("moved") as session:
        [[computed_at]] = world.sql("select computed_at from batches where is_live", catalog="moved")
        assert session.cache.load_items(session, (FIRST, computed_at), ["item5"]) is None
        assert session.cache.load_items(session, (FIRST, computed_at), ["only the first had it"]) is None
        assert session.cache.load_items(session, (SECOND, computed_at - timedelta(1)), ["item5"]) is None
        known = session.cache.load_items(session, (SECOND, computed_at), ["item5", "nobody has it"])
        assert known is not None
        assert (known.title("item5"), known.title("nobody has it")) == ("TITLE OF 5", None)


def test_two_threads_on_the_two_sides_of_a_rules_end_have_each_their_own():
    end = datetime(2026, 1, 1, tzinfo=UTC)
    rule = Rule(1, "block", "x", None, None, None, None, None, end - timedelta(days=1), end, False, None, None)
    rules = RuleSet(1, [rule])
    for _ in range(3):
        assert rules.active(None, end - timedelta(seconds=1)).effects(["x"], ()) != [None]
        assert rules.active(None, end).effects(["x"], ()) == [None]


def test_what_is_kept_lately_has_a_bound_and_what_is_asked_for_again_stays():
    class Piece:
        size = 10

    cache, often, seldom = ResponseCache(200), Piece(), Piece()
    cache.put("often", often)
    cache.put("seldom", seldom)
    kept = []
    for k in range(1000):
        piece = Piece()
        cache.put(k, piece)
        kept.append(weakref.ref(piece))
        assert cache.get("often") is often
    del piece
    assert cache.get("seldom") is None
    assert cache.get(999) is not None
    assert sum(one() is not None for one in kept) * Piece.size <= 200


def test_what_is_kept_in_place_of_another_counts_once():
    class Piece:
        size = 10

    cache, other = ResponseCache(100), Piece()
    cache.put("other", other)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(lambda: [cache.put("same", Piece()) for _ in range(5000)])
    assert cache.get("other") is other


def test_a_short_answer_of_a_long_row_counts_as_long():
    response = RenderedList({"computed_at": datetime.now(UTC), "source": "als"}, b"[]")
    assert CachedList(("x" * 10_000, None, 3), None, response).size > 10_000

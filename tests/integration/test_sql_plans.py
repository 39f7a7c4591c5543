"""No query of the examples, of a page or of a view costs more than a few passes over everything there is.

50,000 users and items, 2,000 nights: what looks into all lists for each item costs thousands of passes. Only plans are
read: nothing depends on the machine.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from recjobs.adapters.migrations import migrate_catalog
from recjobs.adapters.postgres import Database
from recjobs.config import ROOT
from tests.batches import stage
from tests.publishing import LIST_TABLES
from tests.worlds import MakeWorld, World

N, NIGHTS = 50_000, 2_000
PASSES = 40
"""How many times the cost of reading every list, item, history and night may be."""

LARGE = (ROOT / "tests" / "large_catalog.sql").read_text()


@pytest.fixture(scope="module")
def large(make_world: MakeWorld) -> World:
    """A catalog of 50,000 users with 50,000 items, and 2,000 nights before its live batch."""
    world = make_world()
    migrate_catalog(Database(world.postgres.cluster.url("recjobs_migrator"), world.name), "Large")
    batch = stage(world, 300)
    fill, past = LARGE.split("-- And {nights}")
    for table in LIST_TABLES:
        part = world.value("select partition_name(%s, %s)", table, batch, role="recjobs_loader")
        fill = fill.replace(f"{{{table}}}", part)
    world.rows(fill.replace("{batch}", batch).replace("{n}", str(N)), role="admin")
    world.rows("select seal_batch(%s)", batch, role="recjobs_loader")
    world.rows("select attach_batch(%s, null, false)", batch, role="recjobs_publisher")
    world.rows("select publish_batch(%s, null, false, null)", batch, role="recjobs_publisher")
    past = past.replace("{batch}", batch).replace("{n}", str(N)).replace("{nights}", str(NIGHTS))
    world.rows(f"-- {past}", role="admin")
    return world


def cost(world: World, statement: str) -> float:
    """What Postgres expects a reader's statement to cost, with a plan for any parameters."""
    prepared = f"set plan_cache_mode = force_generic_plan; set jit = off; prepare asked as {statement}"
    n = len(set(re.findall(r"\$\d", statement)))
    arguments = f"({', '.join(['null'] * n)})" if n else ""
    connection = world.postgres.connect("recjobs_web", world.name)
    try:
        with connection.cursor() as cursor:
            cursor.execute(prepared)
            cursor.execute(f"explain (format json) execute asked{arguments}")
            plan: list[dict[str, Any]] = cursor.fetchone()[0]
            return float(plan[0]["Plan"]["Total Cost"])
    finally:
        connection.close()


@pytest.fixture(scope="module")
def limit(large: World) -> float:
    everything = ("recommendations", "items", "user_history", "similar_items", "publish_log", "steps")
    return PASSES * sum(cost(large, f"select count(*) from {view}") for view in everything)


EXAMPLES = [text.strip() for text in (ROOT / "sql" / "examples.sql").read_text().split(";\n") if text.strip()]


@pytest.mark.parametrize("statement", EXAMPLES, ids=lambda text: text.splitlines()[0][3:60])
def test_an_example_is_answered_in_a_few_passes(large: World, limit: float, statement: str):
    assert cost(large, statement) < limit


@pytest.mark.parametrize("path", sorted((ROOT / "sql/queries/webapp").glob("*.sql")), ids=lambda path: path.stem)
def test_a_page_is_answered_in_a_few_passes(large: World, limit: float, path: Path):
    assert cost(large, path.read_text()) < limit


OF_OTHER_ROLES = {"champion", "current_rules"}
"""Views that readers do not have."""
VIEWS = {path.stem for path in (ROOT / "sql/views").glob("*.sql")} - OF_OTHER_ROLES


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_a_view_is_read_in_a_few_passes(large: World, limit: float, view: str):
    assert cost(large, f"select * from {view}") < limit


def test_what_looks_into_all_lists_for_each_item_is_seen(large: World, limit: float):
    shown = "(select count(*) from recommendations as r where r.item_id = i.item_id)"
    assert cost(large, f"select i.item_id, {shown} from items as i") > 10 * limit

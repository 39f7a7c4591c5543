"""Catalogs of earlier commits come up to date, whatever text their migrations had; from now on a change is said."""

import json
import os

import pytest

from recjobs.config import ROOT
from recjobs.errors import Defect
from tests.batches import publish
from tests.checkouts import Checkout
from tests.landed_migrations import differences
from tests.worlds import MakeWorld

MADE_BY = {
    "e7ee193": "the log is a table",
    "b02a00d": "what is recorded goes with its batch",
    "becb41f": "publishing attaches",
    "291a117": "attaching is a function",
    "7f70ea0": "inputs",
    "2a424f8": "challengers",
    "92490c7": "rules",
    "0994c84": "rules in memory, in a migration of their own",
    "dd4b338": "rules in memory, in the first migration of rules",
    "264f056": "the live state, in the first migration of rules",
    "8bc9eef": "landed",
}
COMMITS = [*MADE_BY] if os.environ.get("RECJOBS_SOAK") else ["e7ee193", "becb41f", "0994c84", "264f056"]


@pytest.fixture(scope="module")
def fresh(make_world: MakeWorld) -> Checkout:
    """A catalog that this code has made."""
    checkout = Checkout(ROOT / "sql", make_world())
    checkout.migrate()
    return checkout


@pytest.mark.soak
@pytest.mark.parametrize("commit", COMMITS)
def test_a_catalog_of_an_earlier_commit_becomes_what_this_one_makes(checkout: Checkout, fresh: Checkout, commit: str):
    checkout.migrate_as_of(commit)
    assert checkout.migrate() > 0
    assert checkout.tables() == fresh.tables()
    assert checkout.objects() == fresh.objects()
    assert checkout.migrate() == 0


def test_a_catalog_that_came_up_to_date_in_name_only_gets_what_it_lacks(checkout: Checkout, fresh: Checkout):
    """A later release noted texts as applied that this catalog never had."""
    checkout.migrate_as_of("becb41f")
    checkout.migrate_as_of("cee35f8")
    checkout.migrate()
    assert checkout.objects() == fresh.objects()


def test_a_catalog_of_edited_migrations_serves_and_takes_rules_and_rolls_back(checkout: Checkout):
    checkout.migrate_as_of("264f056")
    world = checkout.world
    first = publish(world, 1)
    rule = json.dumps({"kind": "block", "item_id": "i"})
    world.rows("select add_rule(%s)", rule, role="recjobs_editor")
    version = world.value("select rules_version from live_state")
    checkout.migrate()
    assert world.live() == first
    assert world.rows("select item_ids from served_lists") == [{"item_ids": []}]
    publish(world, 2)
    assert world.value("select rules_version from live_state") != version, "what the web app knows of is another one"
    assert world.value("select roll_back(null, 'as before')", role="recjobs_editor") == first


def test_a_migration_that_was_applied_with_another_text_is_said_and_nothing_is_applied(checkout: Checkout):
    checkout.migrate()
    before = checkout.objects()
    path = checkout.sql / "migrations" / "catalog" / "0017-hiding-rules.sql"
    path.write_text(path.read_text() + "-- More.\n")
    checkout.change("views/segments", "p.batch_id\n", "p.batch_id, 1 as best\n")
    with pytest.raises(Defect, match=r"0017-hiding-rules was applied with another text.* is a new migration"):
        checkout.migrate()
    assert checkout.objects() == before


def test_a_migration_of_the_roles_with_another_text_is_said(checkout: Checkout):
    path = checkout.sql / "migrations" / "database" / "0002-editor.sql"
    path.write_text(path.read_text() + "-- More.\n")
    with pytest.raises(Defect, match="sql/migrations/database: 0002-editor was applied with another text"):
        checkout.migrate_database()


def test_no_migration_that_has_landed_is_another_now():
    assert differences(ROOT / "sql" / "migrations") == []


@pytest.mark.parametrize("change", ["edit", "remove", "rename"])
def test_a_landed_migration_that_is_changed_is_refused(checkout: Checkout, change: str):
    path = checkout.sql / "migrations" / "catalog" / "0003-views.sql"
    if change == "edit":
        path.write_text(path.read_text() + "\n")
    elif change == "remove":
        path.unlink()
    else:
        path.rename(path.with_stem("0003-sights"))
    assert any("catalog/0003-views.sql" in each for each in differences(checkout.sql / "migrations"))


def test_a_migration_that_nobody_noted_is_refused(checkout: Checkout):
    (checkout.sql / "migrations" / "catalog" / "9999-more.sql").write_text("select 1;\n")
    assert differences(checkout.sql / "migrations") == [
        "catalog/9999-more.sql is new: `python -m tests.landed_migrations --note` adds it, once its text is final"
    ]

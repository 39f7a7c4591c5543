"""The files of functions, views and grants: one object a file, each fit to replace the one before it."""

import re
from typing import Any

import pytest

from recjobs.config import ROOT
from recjobs.errors import Defect
from tests.checkouts import Checkout

FUNCTIONS, VIEWS, GRANTS = (
    sorted((ROOT / "sql" / folder).glob("*.sql")) for folder in ("functions", "views", "grants")
)
RULE = "a view only gains columns, at its end; another signature is another function"


def statements(text: str) -> list[str]:
    """The first words of each statement of a file."""
    plain = re.sub(r"\$\$.*?\$\$|'(''|[^'])*'|--[^\n]*|begin atomic.*?end(?=;)", "", text, flags=re.DOTALL)
    return [re.sub(r"\s+", " ", each).strip() for each in plain.split(";") if each.strip()]


@pytest.mark.parametrize("path", FUNCTIONS, ids=lambda path: path.stem)
def test_a_function_is_alone_in_its_file_has_a_comment_and_is_nobodys_until_granted(path):
    create, *rest = statements(path.read_text())
    assert create.startswith(f"create or replace function {path.stem}(")
    assert rest == [f"comment on function {path.stem} is", f"revoke all on function {path.stem} from public"]


@pytest.mark.parametrize("path", VIEWS, ids=lambda path: path.stem)
def test_a_view_is_alone_in_its_file_has_a_comment_and_names_its_columns(path):
    create, comment, *more = statements(path.read_text())
    assert re.search(rf"^comment on view {path.stem} is '(A row is|The one row is) ", path.read_text(), re.MULTILINE)
    assert create.startswith(f"create or replace view {path.stem} as ")
    assert comment == f"comment on view {path.stem} is"
    assert [each for each in more if not each.startswith(f"comment on column {path.stem}.")] == []
    # else the same text would make another view of a table that has gained a column
    assert not re.search(r"select \*|\w\.\*", create)


@pytest.mark.parametrize("path", GRANTS, ids=lambda path: path.stem)
def test_a_file_of_grants_is_about_the_role_that_it_is_called_after(path):
    assert {role for each in statements(path.read_text()) for role in re.findall(r" to (.*)", each)} == {path.stem}


def broken(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What was there before and is not now, and functions that share a name; before, after: type and place by name."""
    lost = [name for name, what in before.items() if after.get(name) != what]
    names = [name.partition("(")[0] for name in after if "(" in name]
    return lost + sorted({name for name in names if names.count(name) > 1})


def shapes(checkout: Checkout) -> dict[str, Any]:
    """The type of each function, and the type and place of each column of a view."""
    rows = checkout.objects().items()
    return {name: (row["type"], "." in name and row["definition"]) for name, row in rows}


def test_every_object_can_replace_the_one_that_migrations_made(checkout: Checkout):
    checkout.migrate_by_migrations_alone()
    before = shapes(checkout)
    checkout.migrate()
    checkout.world.rows("delete from applied_objects", role="admin")  # those that are noted as they were made
    assert checkout.migrate() == len([*FUNCTIONS, *VIEWS, *GRANTS])
    assert broken(before, shapes(checkout)) == [], RULE


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("views/segments", "p.segment, cardinality(p.item_ids) as n_items, p.batch_id", "p.segment, p.batch_id"),
        ("views/segments", "cardinality(p.item_ids)", "cardinality(p.item_ids)::bigint"),
        ("views/segments", "as n_items", "as items"),
        ("functions/remove_rule", "returns boolean", "returns integer"),
        ("functions/remove_rule", "by_whom text", "author text"),
    ],
)
def test_a_text_that_cannot_replace_the_one_before_is_refused(
    checkout: Checkout,
    name: str,
    old: str,
    new: str,
):
    checkout.migrate()
    before = checkout.objects()
    checkout.change(name, old, new)
    checkout.change("views/steps", "'A row is", "'One row is")
    with pytest.raises(Defect, match=f"sql/{name}.sql: cannot .*another signature is another function"):
        checkout.migrate()
    assert checkout.objects() == before, "all or nothing"


def test_another_argument_makes_a_second_function_and_is_seen(checkout: Checkout):
    checkout.migrate()
    before = shapes(checkout)
    checkout.change("functions/take_turn", "take_turn()", "take_turn(wait boolean default false)")
    for verb in ("comment on", "revoke all on"):
        checkout.change("functions/take_turn", f"{verb} function take_turn", f"{verb} function take_turn(boolean)")
    checkout.migrate()
    assert broken(before, shapes(checkout)) == ["take_turn"]

"""Rules over finished lists: what a shop decides by day, in force in the next answer of API and SQL."""

from typing import Any

from recjobs.catalog.file import Catalog
from recjobs.config import load_settings
from recjobs.night.night import database

AMONG = 2_000
"""Lists that `attempt` looks into, about half a millisecond each, before and after."""


def add(catalog: Catalog, rule: dict[str, Any]) -> dict[str, Any]:
    """Add a rule, with the columns of the view `rules`. Raises Misuse with what is wrong about it."""
    with database(load_settings(), catalog, "editor").connect() as session:
        return {"rule_id": session.call("add_rule", rule=rule)}


def remove(catalog: Catalog, rule_id: int, author: str | None) -> dict[str, Any]:
    """Undo a rule. changed: false where it was removed already."""
    with database(load_settings(), catalog, "editor").connect() as session:
        return {"rule_id": rule_id, "changed": session.call("remove_rule", rule=rule_id, by_whom=author)}


def restore(catalog: Catalog, rule_id: int, author: str | None) -> dict[str, Any]:
    """Put a removed rule back. changed: false where it was not removed."""
    with database(load_settings(), catalog, "editor").connect() as session:
        return {"rule_id": rule_id, "changed": session.call("restore_rule", rule=rule_id, by_whom=author)}


def known(catalog: Catalog, with_removed: bool) -> list[dict[str, Any]]:
    """The rules, newest first; by default those that are, or will be, in force."""
    with database(load_settings(), catalog, "editor").connect() as session:
        return session.rows("list_rules", with_removed=with_removed)


def attempt(catalog: Catalog, rule: dict[str, Any]) -> dict[str, Any]:
    """What a rule would do if it were in force now; changes nothing.

    of: users with a list; lists: how many were looked into; touched: served lists that would differ; short: lists
    shorter than they may be; winners, losers: items with how many of the first ten places before and after.
    """
    with database(load_settings(), catalog, "editor").connect() as session:
        outcome: dict[str, Any] = session.call("try_rule", rule=rule, among=AMONG)
    return outcome

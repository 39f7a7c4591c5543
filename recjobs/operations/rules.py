"""Rules over finished lists: what a shop changes by day, effective in the next response of API and SQL."""

from typing import Any

from recjobs.catalog.names import Named
from recjobs.night.database import database

MAX_LISTS = 2_000
"""Lists that `try_rule` examines, about half a millisecond each, before and after."""


def add(catalog: Named, options: dict[str, Any]) -> dict[str, Any]:
    """Add a rule, with the columns of the view `rules`; None: not set. Raises Misuse with what is wrong about it."""
    with database(catalog, "editor").connect() as session:
        return {"rule_id": session.call("add_rule", rule=_set_only(options))}


def change(catalog: Named, function: str, rule_id: int, author: str | None) -> dict[str, Any]:
    """Call `remove_rule` or `restore_rule`. changed: false if the rule was in that state already."""
    with database(catalog, "editor").connect() as session:
        return {"rule_id": rule_id, "changed": session.call(function, rule=rule_id, by_whom=author)}


def list_rules(catalog: Named, with_removed: bool) -> list[dict[str, Any]]:
    """Return the rules, newest first; by default only those that apply now or later."""
    with database(catalog, "editor").connect() as session:
        return session.rows("list_rules", with_removed=with_removed)


def try_rule(catalog: Named, options: dict[str, Any]) -> dict[str, Any]:
    """Return what a rule would change if it applied now; changes nothing.

    of: users with a list; lists: how many were examined; touched: served lists that would differ; short: lists that
    would be shorter than allowed; winners, losers: items with how many of the first ten places before and after.
    """
    with database(catalog, "editor").connect() as session:
        return dict(session.call("try_rule", rule=_set_only(options), among=MAX_LISTS))


def _set_only(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}

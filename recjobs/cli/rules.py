"""`recjobs rule`: what a shop decides by day."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import click

from recjobs.cli.options import catalog_option, json_option, show

KINDS = ("block", "expire", "out_of_stock", "pin", "boost", "cap")


def _described(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.argument("kind", type=click.Choice(KINDS)),
        click.option("--item", "item_id", help="Which item; else --category."),
        click.option("--category", help="All items of a category. A cap without it holds for each category."),
        click.option("--segment", help="Only for users of this segment."),
        click.option("--place", type=int, help="Of a pin: the rank it gets."),
        click.option("--factor", type=float, help="Of a boost: its rank is divided by this; below 1 it falls."),
        click.option("--at-most", type=int, help="Of a cap: how many of the category a served list may have."),
        click.option("--from", "starts_at", metavar="TIME", help="When it begins; now if not said."),
        click.option("--until", "ends_at", metavar="TIME", help="When it ends; never if not said."),
        click.option("--note", help="Why."),
        click.option("--author", help="Who; the database user if not said."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _said(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


@click.group()
def rule() -> None:
    """Block, expire, pin, boost or cap items in the lists that are served, from the next answer on.

    A time is one that Postgres reads, such as 2026-12-24 or "2026-12-24 18:00+01".
    """


@rule.command(epilog='Example: recjobs rule add block --catalog sample --item G0001 --note "recalled"')
@catalog_option
@_described
@json_option
def add(catalog_name: str, as_json: bool, **given: Any) -> None:
    """Add a rule; it is in force in the next answer."""
    from recjobs.catalog.files import load_catalog
    from recjobs.operations import rules as step

    show(step.add(load_catalog(catalog_name), _said(given)), as_json)


@rule.command("try", epilog="Example: recjobs rule try cap --catalog sample --at-most 3")
@catalog_option
@_described
@json_option
def attempt(catalog_name: str, as_json: bool, **given: Any) -> None:
    """Say what a rule would do if it were in force, and change nothing."""
    from recjobs.catalog.files import load_catalog
    from recjobs.operations import rules as step

    result = step.attempt(load_catalog(catalog_name), _said(given))
    click.echo(json.dumps(result) if as_json else "\n".join(_outcome(result)))


@rule.command("list", epilog="Example: recjobs rule list --catalog sample --all")
@catalog_option
@click.option("--all", "with_removed", is_flag=True, help="Also those that were removed or ended.")
@json_option
def known(catalog_name: str, with_removed: bool, as_json: bool) -> None:
    """List the rules, the newest first."""
    from recjobs.catalog.files import load_catalog
    from recjobs.operations import rules as step

    rules = step.known(load_catalog(catalog_name), with_removed)
    if as_json:
        click.echo(json.dumps({"rules": rules}, default=str))
    elif not rules:
        click.echo("there are no rules: the lists are served as the night made them")
    for found in [] if as_json else rules:
        click.echo(_line(found))


@rule.command(epilog="Example: recjobs rule remove 7 --catalog sample")
@click.argument("rule_id", type=int)
@catalog_option
@click.option("--author", help="Who; the database user if not said.")
@json_option
def remove(rule_id: int, catalog_name: str, author: str | None, as_json: bool) -> None:
    """Undo a rule. It stays in the list of all rules; `restore` puts it back."""
    from recjobs.catalog.files import load_catalog
    from recjobs.operations import rules as step

    show(step.remove(load_catalog(catalog_name), rule_id, author), as_json)


@rule.command(epilog="Example: recjobs rule restore 7 --catalog sample")
@click.argument("rule_id", type=int)
@catalog_option
@click.option("--author", help="Who; the database user if not said.")
@json_option
def restore(rule_id: int, catalog_name: str, author: str | None, as_json: bool) -> None:
    """Put a removed rule back."""
    from recjobs.catalog.files import load_catalog
    from recjobs.operations import rules as step

    show(step.restore(load_catalog(catalog_name), rule_id, author), as_json)


def _line(found: dict[str, Any]) -> str:
    names = ("item_id", "category", "segment", "place", "factor", "at_most", "starts_at", "ends_at")
    about = "  ".join(f"{name}={found[name]}" for name in names if found[name] is not None)
    state = "removed" if found["removed_at"] else "in force" if found["in_force"] else "waits or ended"
    what = f"{found['rule_id']:>6}  {state:14}  {found['kind']:12}  {about}"
    return f"{what}  by {found['author']}  {found['note']}".rstrip()


def _outcome(result: dict[str, Any]) -> Iterator[str]:
    if not result.get("lists"):
        yield "nothing is live: there is no list to look into"
        return
    yield f"looked into {result['lists']:,} of {result['of']:,} lists"
    yield f"{result['touched']:,} ({result['touched'] / result['lists']:.1%}) would differ"
    yield f"{result['short']:,} would be shorter than lists may be"
    for name, said in (("winners", "gains"), ("losers", "loses")):
        for item in result[name]:
            yield f"{item['item_id']} {said}: {item['before']:,} -> {item['after']:,} of the first ten places"

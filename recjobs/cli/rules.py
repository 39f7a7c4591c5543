"""`recjobs rule`: rules that change the served lists at once."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import click

from recjobs.cli.options import catalog_option, json_option, known_catalog, show

author_option = click.option("--author", help="Who; default: the database user.")
KINDS = ("block", "expire", "out_of_stock", "pin", "boost", "cap")


def _rule_options(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.argument("kind", type=click.Choice(KINDS)),
        click.option("--item", "item_id", help="The item; else --category."),
        click.option("--category", help="All items of a category. A cap without it holds for each category."),
        click.option("--segment", help="Only for users of this segment."),
        click.option("--place", type=int, help="Of a pin: the rank it gets."),
        click.option("--factor", type=float, help="Of a boost: its rank is divided by this; below 1 it falls."),
        click.option("--at-most", type=int, help="Of a cap: how many of the category a served list may have."),
        click.option("--from", "starts_at", metavar="TIME", help="Start; default: now."),
        click.option("--until", "ends_at", metavar="TIME", help="End; default: never."),
        click.option("--note", help="Why."),
        click.option(
            "--allow-unknown",
            is_flag=True,
            default=None,
            help="Also for an item, category or segment that the live batch does not have yet.",
        ),
        author_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def rule() -> None:
    """Block, expire, pin, boost or cap items in the served lists, from the next response on.

    A time is one that Postgres reads, such as 2026-12-24 or "2026-12-24 18:00+01".
    """


@rule.command(epilog='Example: recjobs rule add block --catalog sample --item G0001 --note "recalled"')
@catalog_option
@_rule_options
@json_option
def add(catalog_name: str, as_json: bool, **options: Any) -> None:
    """Add a rule; it applies from the next response on."""
    from recjobs.operations import rules as step

    show(step.add(known_catalog(catalog_name), options), as_json)


@rule.command("try", epilog="Example: recjobs rule try cap --catalog sample --at-most 3")
@catalog_option
@_rule_options
@json_option
def try_rule(catalog_name: str, as_json: bool, **options: Any) -> None:
    """Show what a rule would change, without adding it."""
    from recjobs.operations import rules as step

    result = step.try_rule(known_catalog(catalog_name), options)
    click.echo(json.dumps(result) if as_json else "\n".join(_outcome(result)))


@rule.command("list", epilog="Example: recjobs rule list --catalog sample --all")
@catalog_option
@click.option("--all", "with_removed", is_flag=True, help="Include rules that were removed or have ended.")
@json_option
def list_rules(catalog_name: str, with_removed: bool, as_json: bool) -> None:
    """List the rules, newest first."""
    from recjobs.operations import rules as step

    rules = step.list_rules(known_catalog(catalog_name), with_removed)
    if as_json:
        click.echo(json.dumps({"rules": rules}, default=str))
    elif not rules:
        click.echo("there are no rules: the lists are served as the night made them")
    else:
        click.echo("\n".join(map(_line, rules)))


def _change_command(verb: str, text: str) -> None:
    @rule.command(verb, help=text, epilog=f"Example: recjobs rule {verb} 7 --catalog sample")
    @click.argument("rule_id", type=int)
    @catalog_option
    @author_option
    @json_option
    def command(rule_id: int, catalog_name: str, author: str | None, as_json: bool) -> None:
        from recjobs.operations import rules as step

        show(step.change(known_catalog(catalog_name), f"{verb}_rule", rule_id, author), as_json)


_change_command("remove", "Remove a rule. `list --all` still shows it, and `restore` puts it back.")
_change_command("restore", "Put a removed rule back.")


def _line(rule: dict[str, Any]) -> str:
    names = ("item_id", "category", "segment", "place", "factor", "at_most", "starts_at", "ends_at")
    about = "  ".join(f"{name}={rule[name]}" for name in names if rule[name] is not None)
    state = "removed" if rule["removed_at"] else "in force" if rule["in_force"] else "waits or ended"
    what = f"{rule['rule_id']:>6}  {state:14}  {rule['kind']:12}  {about}"
    return f"{what}  by {rule['author']}  {rule['note']}".rstrip()


def _outcome(result: dict[str, Any]) -> Iterator[str]:
    if not result.get("lists"):
        yield "nothing is live: there is no list to look into"
        return
    yield f"looked into {result['lists']:,} of {result['of']:,} lists"
    yield f"{result['touched']:,} ({result['touched'] / result['lists']:.1%}) would differ"
    yield f"{result['short']:,} would be shorter than lists may be"
    for name, verb in (("winners", "gains"), ("losers", "loses")):
        for item in result[name]:
            yield f"{item['item_id']} {verb}: {item['before']:,} -> {item['after']:,} of the first ten places"

"""The verbs that make credentials for the web app: what they print is seen once and stored nowhere."""

import hashlib
import json
import re
import secrets
from datetime import UTC, date, datetime

import click

from recjobs.cli.options import json_option
from recjobs.errors import Misuse

expires_option = click.option(
    "--expires", metavar="DATE", help="The last day (UTC) on which it is valid, such as 2027-06-30."
)


@click.group("api-key", epilog="Example: recjobs api-key new newsletter --expires 2027-06-30")
def api_key() -> None:
    """Make keys for programs that read recommendations."""


@api_key.command("new", epilog="Example: recjobs api-key new newsletter --expires 2027-06-30 --catalog shop")
@click.argument("name")
@expires_option
@click.option(
    "--catalog", "catalogs", multiple=True, metavar="NAME", help="The only catalog it may ask for; may be repeated."
)
@json_option
def new_key(name: str, expires: str | None, catalogs: tuple[str, ...], as_json: bool) -> None:
    """Draw a key for NAME, print it once, and the entry that lets it in."""
    if wrong := next((each for each in catalogs if not re.fullmatch(r"[a-z][a-z0-9_]{0,47}", each)), None):
        raise Misuse(f"--catalog {wrong}: no catalog has such a name")
    _show("RECJOBS_API_KEYS", "key", name, f"recjobs_key_{secrets.token_urlsafe(32)}", expires, as_json, catalogs)


@click.group(epilog="Example: recjobs operator new alice")
def operator() -> None:
    """Make credentials for people who may change what is served."""


@operator.command("new", epilog="Example: recjobs operator new alice --expires 2027-06-30")
@click.argument("name")
@expires_option
@json_option
def new_operator(name: str, expires: str | None, as_json: bool) -> None:
    """Draw a secret for NAME to sign in with, print it once, and the entry that lets NAME in."""
    _show("WEBAPP_OPERATORS", "secret", name, f"recjobs_operator_{secrets.token_urlsafe(32)}", expires, as_json)


def _show(
    setting: str,
    what: str,
    name: str,
    secret: str,
    expires: str | None,
    as_json: bool,
    catalogs: tuple[str, ...] = (),
) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,47}", name):
        raise Misuse(f"{name!r} is no name: up to 48 small letters, digits, `_`, `.` and `-`, a letter or digit first")
    entry = f"{name}:{hashlib.sha256(secret.encode()).hexdigest()}"
    if expires is not None:
        entry += f":{_day(expires)}"
    if catalogs:
        entry += (":" if expires is None else "") + ":" + "+".join(catalogs)
    if as_json:
        click.echo(json.dumps({"name": name, what: secret, "setting": setting, "entry": entry}))
        return
    click.echo(f"{what} of {name}, shown this once: {secret}")
    click.echo(f"add to {setting}, or as a line to the file that {setting}_FILE names:\n{entry}")


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Misuse(f"--expires {text}: write a day as YYYY-MM-DD") from None
    if day < datetime.now(UTC).date():
        raise Misuse(f"--expires {text}: this day is over")
    return day

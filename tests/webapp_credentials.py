"""Credentials for the web app's tests: two keys that are valid, one that has expired, and two operators."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from flask.testing import FlaskClient

KEY, OTHER_KEY, OLD_KEY, SECRET, CAROLS = "rk_one", "rk_two", "rk_old", "the secret of alice", "the secret of carol"


def entry(name: str, secret: str, last_day: str | None = None) -> str:
    """An entry of a setting."""
    return f"{name}:{sha256(secret.encode()).hexdigest()}" + (f":{last_day}" if last_day else "")


def day(offset: int) -> str:
    """Today, or so many days from it, in UTC."""
    return str(datetime.now(UTC).date() + timedelta(days=offset))


# Not day(0): these tests may begin on one day and end on the next.
KEYS = f"{entry('app', KEY)}, {entry('mail', OTHER_KEY, day(1))} {entry('app', OLD_KEY, day(-1))}"
OPERATORS = f"{entry('alice', SECRET)},{entry('carol', CAROLS)}"


def bearer(secret: str) -> dict[str, str]:
    """The header that shows a key or an operator's secret."""
    return {"Authorization": f"Bearer {secret}"}


def sign_in(client: FlaskClient, name: str = "alice", secret: str = SECRET, back: str = "/") -> int:
    """Send the form; 303 if it let one in."""
    return client.post("/sign-in", data={"name": name, "secret": secret, "back": back}).status_code

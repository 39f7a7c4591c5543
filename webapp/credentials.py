"""Credentials: API keys and operators' secrets, of which only the hash is stored.

An entry is `NAME:SHA256[:[LAST_DAY][:CATALOG+CATALOG]]`, as `recjobs api-key new` and `recjobs operator new` print it.
Plain SHA-256 is enough because a secret is random, never chosen: 256 random bits cannot be guessed however fast one
hashes, and the slow hash that a chosen password needs would hold a thread for a tenth of a second at every request.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256

NO_SECRET = sha256(b"").hexdigest()
CATALOG = "[a-z][a-z0-9_]{0,47}"
ENTRY = re.compile(
    rf"([a-z0-9][a-z0-9_.-]{{0,47}}):([0-9a-f]{{64}})(?::(\d{{4}}-\d\d-\d\d)?(?::({CATALOG}(?:\+{CATALOG})*)?)?)?"
)


@dataclass(frozen=True)
class Credential:
    """A named secret's hash, the last day (UTC) on which it is valid (None: no end), its catalogs (none: all)."""

    name: str
    digest: str
    last_day: date | None = None
    catalogs: frozenset[str] = frozenset()

    def valid(self) -> bool:
        """Whether it has not expired."""
        return self.last_day is None or datetime.now(UTC).date() <= self.last_day


def parse_credentials(text: str) -> tuple[Credential, ...]:
    """Read entries between commas or white space; `#` begins a comment. A name may be repeated, to rotate its secret.

    Raises ValueError, with the position of the wrong entry and not its text: it may be the secret itself.
    """
    words = re.sub(r"#.*", "", text).replace(",", " ").split()
    credentials = []
    for place, word in enumerate(words, 1):
        match = ENTRY.fullmatch(word)
        if match is None:
            raise ValueError(
                f"entry {place} is not NAME:SHA256, NAME:SHA256:YYYY-MM-DD or "
                "NAME:SHA256:[YYYY-MM-DD]:CATALOG+CATALOG; the command prints such a line"
            )
        if match[2] == NO_SECRET:
            raise ValueError(f"entry {place} is the hash of an empty secret; the command prints a line of a drawn one")
        try:
            last_day = date.fromisoformat(match[3]) if match[3] else None
        except ValueError:
            raise ValueError(f"entry {place}: there is no day {match[3]}") from None
        catalogs = frozenset(match[4].split("+")) if match[4] else frozenset()
        credentials.append(Credential(match[1], match[2], last_day, catalogs))
    scopes = {one.digest: one.catalogs for one in credentials}
    for place, one in enumerate(credentials, 1):
        if one.catalogs != scopes[one.digest]:
            raise ValueError(f"entry {place}: another entry lets the same secret ask for other catalogs")
    return tuple(credentials)


def by_digest(credentials: Iterable[Credential]) -> dict[str, Credential]:
    """Credentials by their hash; of several with one hash, the one that is valid for longest."""
    return {one.digest: one for one in sorted(credentials, key=lambda one: one.last_day or date.max)}


def find(credentials: Mapping[str, Credential], secret: str) -> Credential | None:
    """Return the credential of a secret, if it is valid today.

    A lookup by the hash, whose duration tells nothing: whoever learns how much of a hash agrees must still find 256
    random bits that have such a hash.
    """
    credential = credentials.get(sha256(secret.encode("utf-8", "surrogateescape")).hexdigest())
    return credential if credential is not None and credential.valid() else None

"""What visitors of a shop ask for: mostly their own list, some of it again, and what stands beside it."""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from acceptance.deployment import Answer, Deployment

SAMPLE_CUSTOMERS = tuple(f"C{number}" for number in range(1000, 2500))
"""The customers of the generated shop, whom visitors are if no file names others."""
N_ITEMS, N_MANY, N_PROBED = 20, 10, 10
FINE = (200, 304)
MISSING = "missing"
"""A kind that no load test has: an item that is not there. `traffic` adds it, so that boards show a 404 as well."""


class NoVisitors(Exception):
    """The deployment cannot be asked for lists; the message says why."""


@dataclass(frozen=True)
class Question:
    """One request of a visitor; fine: the statuses that are right."""

    kind: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    fine: tuple[int, ...] = FINE


def users_in(path: Path | None) -> Sequence[str]:
    """The ids in a file, one a line; those of the generated shop without a file. Raises `NoVisitors`."""
    if path is None:
        return SAMPLE_CUSTOMERS
    try:
        users = [line for line in path.read_text(encoding="utf-8").split("\n") if line]
    except (OSError, UnicodeError) as error:
        raise NoVisitors(f"{path}: cannot be read: {error}") from None
    if not users:
        raise NoVisitors(f"{path}: names no user")
    return users


class Visitors:
    """Draws questions; may be shared by threads. A few users come often, most of them seldom."""

    def __init__(self, catalog: str, users: Sequence[str], items: Sequence[str], mix: dict[str, float]) -> None:
        """mix: the share of each kind; see `_path` for the kinds."""
        self._catalog, self._users, self._items = catalog, users, items
        self._kinds, self._shares = list(mix), list(mix.values())
        self._draw = random.Random(1)  # noqa: S311 - the same requests in every run
        self._tags: dict[str, str] = {}
        self._lock = threading.Lock()

    def next(self) -> Question:
        """Any question."""
        with self._lock:
            kind = self._draw.choices(self._kinds, self._shares)[0]
            user = self._users[int(len(self._users) * self._draw.random() ** 2)]
            item, number = self._draw.choice(self._items), self._draw.getrandbits(48)
        path = f"/v1/{self._catalog}/{_path(kind, quote(user, safe=''), quote(item, safe=''), number)}"
        tag = self._tags.get(path) if kind == "again" else None
        body = {"user_ids": list(self._users[:N_MANY]), "n": 10} if kind == "many" else None
        return Question(
            kind, path, body, {"If-None-Match": tag} if tag else {}, (404,) if kind == MISSING else FINE
        )  # fmt: skip

    def keep(self, question: Question, answer: Answer) -> None:
        """Remember the ETag of a list that may be asked for again."""
        if question.kind in ("list", "again") and (tag := answer.headers.get("ETag")):
            self._tags[question.path] = tag


def _path(kind: str, user: str, item: str, number: int) -> str:
    mine = f"recommendations?user_id={user}"
    return {
        "list": f"{mine}&n=20",
        "again": f"{mine}&n=20",
        "page": f"{mine}&n=5&offset=5",
        "cart": f"{mine}&n=10&exclude={item}",
        "unknown": f"recommendations?user_id=guest-{number:x}&n=20",
        "popular": "popular?n=20",
        "similar": f"similar?item_id={item}&n=10",
        "basket": f"basket?item_id={item}&n=5",
        "many": "recommendations:batch",
        MISSING: f"similar?item_id=gone-{number:x}",
    }[kind]


KINDS = ("list", "again", "page", "cart", "unknown", "popular", "similar", "basket", "many")


def catalog_of(deployment: Deployment, catalog: str | None) -> str:
    """The catalog to ask for: the one given, or the only one that is published. Raises `NoVisitors`."""
    if catalog:
        return catalog
    answer = deployment.ask("/info")
    live: dict[str, str | None] = (answer.json or {}).get("live") or {}
    published = [name for name, batch in live.items() if batch]
    if len(published) != 1:
        raise NoVisitors(
            f"give CATALOG: {', '.join(published) or 'nothing'} is published (GET /info is {answer.status})"
        )
    return published[0]


def visitors_of(
    deployment: Deployment, catalog: str, users: Sequence[str], mix: dict[str, float]
) -> tuple[Visitors, int]:  # fmt: skip
    """Visitors who know the popular items, and how many of ten drawn users the shop knows. Raises `NoVisitors`."""
    path = f"/v1/{catalog}/popular?n={N_ITEMS}"
    answer = deployment.ask(path)
    items = [item["item_id"] for item in (answer.json or {}).get("items", ())] if answer.status == 200 else []
    if not items:
        raise NoVisitors(f"GET {path} is {answer.summary}: there is nothing to ask for")
    drawn = random.Random(2).sample(list(users), min(N_PROBED, len(users)))  # noqa: S311 - no secret
    answers = [deployment.ask(f"/v1/{catalog}/recommendations?user_id={quote(user, safe='')}&n=1") for user in drawn]
    known = sum(
        (answer.json or {}).get("source") in ("als", "foldin", "neighbours", "again", "category") for answer in answers
    )
    return Visitors(catalog, users, items, mix), known

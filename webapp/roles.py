"""Roles of people: a viewer reads the pages, an editor also changes rules, an operator also rolls back and approves.

A grant is a role in some catalogs, or in all. `WEBAPP_ROLES` says which group of the identity provider is granted what:
`GROUP=ROLE` or `GROUP=ROLE:CATALOG+CATALOG`. Somebody of several groups has, in each catalog, the highest role.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from webapp.credentials import CATALOG

ROLES = ("viewer", "editor", "operator")
"""Each may do what those before it may."""
ENTRY = re.compile(rf"([^\s,=]+)=({'|'.join(ROLES)})(?::({CATALOG}(?:\+{CATALOG})*))?")


class Grant(NamedTuple):
    """A role, and the catalogs in which it holds; none: all."""

    role: str
    catalogs: frozenset[str] = frozenset()

    def allows(self, role: str, catalog: str | None) -> bool:
        """Whether it is at least this role in a catalog; None: in any."""
        is_there = catalog is None or not self.catalogs or catalog in self.catalogs
        return is_there and ROLES.index(self.role) >= ROLES.index(role)


EVERYTHING = Grant("operator")


class Person(NamedTuple):
    """Somebody who has signed in, and what they are granted."""

    name: str
    grants: tuple[Grant, ...] = (EVERYTHING,)


class GroupGrant(NamedTuple):
    """What the members of a group are granted."""

    group: str
    grant: Grant


def parse_roles(text: str) -> tuple[GroupGrant, ...]:
    """Read entries between commas or white space. Raises ValueError with the entry that is none."""
    grants = []
    for word in text.replace(",", " ").split():
        match = ENTRY.fullmatch(word)
        if match is None:
            raise ValueError(f"{word!r} is not GROUP=ROLE or GROUP=ROLE:CATALOG+CATALOG; roles are {', '.join(ROLES)}")
        catalogs = frozenset(match[3].split("+")) if match[3] else frozenset()
        grants.append(GroupGrant(match[1], Grant(match[2], catalogs)))
    return tuple(grants)


def granted(roles: Iterable[GroupGrant], groups: Iterable[object]) -> tuple[Grant, ...]:
    """What somebody of these groups is granted; empty: nothing. A group that is no text is none."""
    known = {group for group in groups if isinstance(group, str)}
    return tuple(one.grant for one in roles if one.group in known)

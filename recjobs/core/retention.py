"""What a prune lets go of a catalog's folder: of each night all, nothing, or all but the steps that others need."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

ALL = frozenset({"*"})
"""Every step of a night."""


@dataclass(frozen=True)
class Folder:
    """A night's or a search's folder: the bytes of each of its steps (of a search: of all of it, under ""), and when
    its newest file was written (without any: when its folder was made)."""

    name: str
    parts: Mapping[str, int]
    newest: datetime | None


@dataclass(frozen=True)
class Going:
    """What goes of a folder: these parts, `begin` first, so that what is half gone has not begun; whole: the folder
    with them."""

    name: str
    parts: Mapping[str, int]
    whole: bool

    @property
    def n_bytes(self) -> int:
        """How much room that makes."""
        return sum(self.parts.values())


def going(
    folders: Collection[Folder],
    needed: Mapping[str, Collection[str]],
    pruned: Collection[str],
    oldest: datetime,
) -> Iterator[Going]:
    """What goes, in the order of the folders.

    needed: by name, the parts that somebody needs (ALL: all of them). pruned: names that go whatever their age. The
    others go if nothing was written in them since `oldest`.
    """
    for folder in folders:
        wanted = needed.get(folder.name, ())
        is_old = folder.newest is None or folder.newest < oldest
        if set(wanted) & ALL or not (folder.name in pruned or is_old):
            continue
        parts = {name: folder.parts[name] for name in sorted(folder.parts, key=_begin_first) if name not in wanted}
        if parts or not folder.parts:
            yield Going(folder.name, parts, len(parts) == len(folder.parts))


def _begin_first(part: str) -> tuple[bool, str]:
    return part != "begin", part

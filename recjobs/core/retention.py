"""What a prune removes from a catalog's folder: of each night all, nothing, or all but the steps others need."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

ALL = frozenset({"*"})
"""Every step of a night."""


@dataclass(frozen=True)
class Folder:
    """A night's or search's folder: the bytes of each step (of a search: of all of it, under ""), and when its newest
    file was written (without files: when the folder was)."""

    name: str
    parts: Mapping[str, int]
    newest: datetime | None


@dataclass(frozen=True)
class Removal:
    """Parts of a folder to remove, `begin` first, so that a half-removed night is not begun; whole: the folder too."""

    name: str
    parts: Mapping[str, int]
    whole: bool

    @property
    def n_bytes(self) -> int:
        """Bytes that this frees."""
        return sum(self.parts.values())


def removals(
    folders: Collection[Folder], needed: Mapping[str, Collection[str]], pruned: Collection[str], oldest: datetime
) -> Iterator[Removal]:
    """What to remove, in the order of the folders: those in `pruned`, and those not written to since `oldest`.

    needed: by folder name, the parts to keep (ALL: every part).
    """
    for folder in folders:
        wanted = needed.get(folder.name, ())
        is_old = folder.newest is None or folder.newest < oldest
        if set(wanted) & ALL or not (folder.name in pruned or is_old):
            continue
        begin_first = sorted(folder.parts, key=lambda part: (part != "begin", part))
        parts = {name: folder.parts[name] for name in begin_first if name not in wanted}
        if parts or not folder.parts:
            yield Removal(folder.name, parts, len(parts) == len(folder.parts))

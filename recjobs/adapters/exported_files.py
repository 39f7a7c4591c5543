"""The list of files that `recjobs export` has written on this machine: `exports.jsonl` in the state folder."""

import json
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

_LIST = "exports.jsonl"


@dataclass(frozen=True)
class Exported:
    """A file as it was written: where, of which catalog, when (seconds since 1970), its size and its time."""

    path: str
    catalog: str
    at: float
    size: int
    mtime_ns: int

    @property
    def written_at(self) -> datetime:
        """When it was written."""
        return datetime.fromtimestamp(self.at, UTC)

    def is_there(self) -> bool:
        """Whether the file is still the one that was written; another program may have replaced it."""
        try:
            found = Path(self.path).stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size, self.mtime_ns)


def note(state: Path, path: Path, catalog: str, at: float) -> None:
    """Add a file to the list. Where the state folder cannot be written to, nothing is listed."""
    found = path.stat()
    entry = Exported(str(path.absolute()), catalog, at, found.st_size, found.st_mtime_ns)
    with suppress(OSError):
        state.mkdir(parents=True, exist_ok=True)
        with (state / _LIST).open("a", encoding="utf-8") as file:  # one short write: two exports do not mix
            file.write(json.dumps(asdict(entry)) + "\n")


def exported(state: Path) -> Iterator[Exported]:
    """The listed files that are still there, the oldest first."""
    try:
        lines = (state / _LIST).read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(ValueError, TypeError):  # half a line, of a machine that lost its power
            if (entry := Exported(**json.loads(line))).is_there():
                yield entry


def remove_before(state: Path, catalog: str, before: datetime, dry_run: bool) -> int:
    """Remove a catalog's listed files that were written before; returns how many. What is gone leaves the list."""
    old = [entry for entry in exported(state) if entry.catalog == catalog and entry.written_at < before]
    if not dry_run:
        remove(state, old)
    return len(old)


def remove(state: Path, old: Collection[Exported]) -> None:
    """Remove listed files. What is gone leaves the list."""
    if not old:
        return
    entries = list(exported(state))
    for entry in old:
        with suppress(OSError):
            Path(entry.path).unlink()
    unfinished = state / f".{_LIST}.{os.getpid()}"
    unfinished.write_text("".join(json.dumps(asdict(entry)) + "\n" for entry in entries if entry not in old))
    unfinished.replace(state / _LIST)

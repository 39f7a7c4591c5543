"""A catalog's folder of the artifact store: its nights, searches and kept query results, and how they are removed."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import cached_property

from pyarrow import fs

from recjobs.adapters.artifacts import NightFiles
from recjobs.adapters.object_store import Store, file_system
from recjobs.core.batch_ids import is_batch_id, parse_batch_id
from recjobs.core.retention import Folder, Going
from recjobs.errors import SystemAway

STUDIES, INPUTS = "_tune", "_inputs"


class ArtifactStore:
    """One catalog's folder. `nights` looks at it anew; sizes and times are those of the first time one asks."""

    def __init__(self, root: str, catalog: str) -> None:
        system, path = file_system(root)
        self._system = Store(system, root)
        self.place = f"{path.rstrip('/')}/{catalog}"

    def night(self, batch_id: str) -> NightFiles:
        """The files of one night, which may not exist yet."""
        return NightFiles(self._system, f"{self.place}/{batch_id}")

    def nights(self) -> list[NightFiles]:
        """The files of every night that has a folder, in order."""
        folders = self._system.get_file_info(fs.FileSelector(self.place, allow_not_found=True))
        names = [info.base_name for info in folders if info.type == fs.FileType.Directory]
        return [self.night(name) for name in sorted(filter(is_batch_id, names), key=parse_batch_id)]

    def night_folders(self) -> list[Folder]:
        """Every night's folder, in order; its parts are the steps."""
        return sorted(self._folders(""), key=lambda folder: parse_batch_id(folder.name))

    def study_folders(self) -> list[Folder]:
        """Every search's folder, in order."""
        return sorted(self._folders(f"{STUDIES}/"), key=lambda folder: folder.name)

    def input_folders(self) -> list[Folder]:
        """Every kept result of a query, as a folder that is one file."""
        return [
            Folder(info.base_name, {"": info.size}, info.mtime)
            for path, info in self._below(f"{INPUTS}/")
            if info.type == fs.FileType.File and "/" not in path
        ]

    def remove_night(self, what: Going) -> None:
        """Remove parts of a night. Killed anywhere, no step is left that counts without all of its files."""
        for part in what.parts:
            self.undo_step(what.name, part)
            with suppress(FileNotFoundError):
                self._system.delete_dir(f"{self.place}/{what.name}/{part}")
        if what.whole:
            with suppress(FileNotFoundError):
                self._system.delete_dir(f"{self.place}/{what.name}")

    def undo_step(self, batch_id: str, step: str) -> None:
        """Remove a step's manifest: its files count no more."""
        with suppress(FileNotFoundError):
            self._system.delete_file(f"{self.place}/{batch_id}/{step}/manifest.json")

    def remove_study(self, name: str) -> None:
        """Remove a search, its request first: without that it is none."""
        with suppress(FileNotFoundError):
            self._system.delete_file(f"{self.place}/{STUDIES}/{name}/request.json")
        with suppress(FileNotFoundError):
            self._system.delete_dir(f"{self.place}/{STUDIES}/{name}")

    def remove_input(self, name: str) -> None:
        """Remove the result of a query."""
        with suppress(FileNotFoundError):
            self._system.delete_file(f"{self.place}/{INPUTS}/{name}")

    @cached_property
    def _listing(self) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self.place, allow_not_found=True, recursive=True)
        for _ in range(20):
            # On a disk a night that writes meanwhile may empty a folder between its being seen and being looked into.
            with suppress(FileNotFoundError):
                return list(self._system.get_file_info(selector))
        raise SystemAway(f"{self.place} could not be listed: folders vanish in it all the time; try again later")

    def _below(self, folder: str) -> Iterator[tuple[str, fs.FileInfo]]:
        """(path below a folder of the catalog, its size and time)"""
        begin = f"{self.place}/{folder}"
        for info in self._listing:
            if info.path.startswith(begin):
                yield info.path.removeprefix(begin), info

    def _folders(self, within: str) -> list[Folder]:
        sizes: dict[str, dict[str, int]] = {}
        newest: dict[str, datetime] = {}
        created: dict[str, datetime] = {}
        for path, info in self._below(within):
            name, _, rest = path.partition("/")
            is_file = info.type == fs.FileType.File
            if (not within and not is_batch_id(name)) or (is_file and not rest):
                continue
            parts = sizes.setdefault(name, {})
            if rest and (within or not is_file or "/" in rest):
                part = "" if within else rest.partition("/")[0]
                parts[part] = parts.get(part, 0) + (info.size if is_file else 0)
            if info.mtime:  # S3 has no folders, and so no times of them
                times = newest if is_file else created
                times[name] = max(times.get(name, info.mtime), info.mtime)
        return [Folder(name, parts, newest.get(name, created.get(name))) for name, parts in sizes.items()]

"""A catalog's folder of the artifact store: list and remove its nights, searches and stored query results."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import cached_property

from pyarrow import fs

from recjobs.adapters.artifacts import NightFiles
from recjobs.adapters.object_store import Store, file_system
from recjobs.core.batch_ids import is_batch_id, parse_batch_id
from recjobs.core.retention import Folder, Removal
from recjobs.errors import SystemAway

STUDIES, INPUTS = "_tune", "_inputs"


class ArtifactStore:
    """One catalog's folder. `nights` lists it at each call; sizes and times are cached at the first call."""

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
        """Every stored result of a query, as a folder of one file."""
        return [
            Folder(info.base_name, {"": info.size}, info.mtime)
            for path, info in self._below(f"{INPUTS}/")
            if info.type == fs.FileType.File and "/" not in path
        ]

    def remove_night(self, removal: Removal) -> None:
        """Remove steps of a night, or all of it. A kill never leaves a step with a manifest but without its files."""
        for step in removal.parts:
            self.undo_step(removal.name, step)
            self._remove(self._system.delete_dir, f"{removal.name}/{step}")
        if removal.whole:
            self._remove(self._system.delete_dir, removal.name)

    def undo_step(self, batch_id: str, step: str) -> None:
        """Remove a step's manifest, so that its files no longer count."""
        self._remove(self._system.delete_file, f"{batch_id}/{step}/manifest.json")

    def remove_study(self, name: str) -> None:
        """Remove a search, its request first: a folder without one is not a search."""
        self._remove(self._system.delete_file, f"{STUDIES}/{name}/request.json")
        self._remove(self._system.delete_dir, f"{STUDIES}/{name}")

    def size(self) -> tuple[int, int]:
        """How many files the folder holds, and their bytes."""
        sizes = [info.size for info in self._listing if info.type == fs.FileType.File]
        return len(sizes), sum(sizes)

    def remove_all(self) -> None:
        """Remove the folder itself."""
        with suppress(FileNotFoundError):
            self._system.delete_dir(self.place)

    def load_input(self, name: str) -> bytes:
        """The stored result of a query, compressed."""
        with self._system.open_input_file(f"{self.place}/{INPUTS}/{name}") as file:
            return bytes(file.read())

    def remove_input(self, name: str) -> None:
        """Remove the stored result of a query."""
        self._remove(self._system.delete_file, f"{INPUTS}/{name}")

    def _remove(self, delete: Callable[[str], None], path: str) -> None:
        with suppress(FileNotFoundError):
            delete(f"{self.place}/{path}")

    @cached_property
    def _listing(self) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self.place, allow_not_found=True, recursive=True)
        for _ in range(20):
            # On a disk, a night that is writing may remove a folder between its being listed and being opened.
            with suppress(FileNotFoundError):
                return list(self._system.get_file_info(selector))
        raise SystemAway(f"{self.place} could not be listed: its folders keep vanishing; try again later")

    def _below(self, folder: str) -> Iterator[tuple[str, fs.FileInfo]]:
        """(path below a folder of the catalog, its size and time)"""
        prefix = f"{self.place}/{folder}"
        for info in self._listing:
            if info.path.startswith(prefix):
                yield info.path.removeprefix(prefix), info

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
            if info.mtime:  # folders in S3 have none
                times = newest if is_file else created
                times[name] = max(times.get(name, info.mtime), info.mtime)
        return [Folder(name, parts, newest.get(name, created.get(name))) for name, parts in sizes.items()]

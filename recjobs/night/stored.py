"""Tables of a night's finished steps, of which parts are read: by a step, or by tasks on another machine."""

from collections.abc import Iterator
from pathlib import Path

from recjobs.adapters.shared_table import SharedTable
from recjobs.core.ahead import ahead
from recjobs.core.rows.interactions import Interactions
from recjobs.core.rows.stored_rows import StoredRows
from recjobs.night.handovers import Handovers
from recjobs.night.night import Night


def shared_table(night: Night, step: str, name: str) -> SharedTable:
    """A Parquet file of a finished step."""
    return SharedTable(*absolute(night, night.files.path_of(step, name)))


def verified_table(night: Night, step: str, name: str, of: Handovers | None = None) -> SharedTable:
    """The same, whose file is compared with its SHA-256 now; of: another night's. Raises ModelRefused as
    `NightFiles.verified_path` does."""
    return SharedTable(*absolute(night, (of or night).files.verified_path(step, name)))


def stored_rows(night: Night, step: str, name: str) -> StoredRows:
    """Interactions of a finished step, whose file is never held whole. Raises ModelRefused as `verified_table` does."""
    table = verified_table(night, step, name)
    schema, n_rows = table.extent()
    empty = Interactions.from_table(schema.empty_table())

    def read() -> Iterator[Interactions]:
        return map(Interactions.from_table, ahead(table.groups()))

    return StoredRows(read, empty, n_rows)


def absolute(night: Night, path: str) -> tuple[str, str]:
    """(the artifacts' root, a path in its file system): an executor has another working folder."""
    root = night.settings.artifacts
    return (str(Path(root).absolute()), str(Path(path).absolute())) if night.files.system.is_local else (root, path)

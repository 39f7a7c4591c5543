"""Where a fault is planted: sound rows of 40 users and 13 items, and the catalog that reads them."""

import copy
import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.worlds import COLUMNS, DAY_0

SOUND = [
    {
        "user": f"u{n % 40:02}",
        "item": f"i{n % 13:02}",
        "at": f"{DAY_0 + timedelta(hours=12 * n):%Y-%m-%dT%H:%M:%SZ}",
        "quantity": "1",
    }
    for n in range(200)
]
"""200 interactions, no two alike."""
TREE: dict[str, Any] = {
    "sources": [{"path": "rows.csv", "columns": COLUMNS}],
    "holdout_days": 30,
    "min_holdout_users": 20,
    "top_n": {"stored": 10, "served": 5},
    "model": {"factors": 4, "iterations": 3},
}


@dataclass
class Ground:
    """One case's own files. A fault changes them; `text` replaces the catalog file, `later` happens after `begin`."""

    data: Path
    outside: Path
    """A folder that nothing may be written to."""
    tree: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(TREE))
    text: str | bytes | None = None
    later: Callable[[], object] | None = None
    settings: dict[str, str] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    name: str | None = None
    """Another name for the catalog than its world has."""
    ids: set[str] = field(default_factory=set)
    """What must be found byte for byte among the users or the items."""

    @property
    def source(self) -> dict[str, Any]:
        """The catalog's only source."""
        source: dict[str, Any] = self.tree["sources"][0]
        return source

    def file(self, content: bytes, name: str = "rows.csv") -> Path:
        """The source is this file."""
        (self.data / name).parent.mkdir(parents=True, exist_ok=True)
        (self.data / name).write_bytes(content)
        self.source["path"] = name
        return self.data / name

    def rows(self, *more: dict[str, Any], **columns: Callable[[dict[str, Any]], object]) -> Path:
        """The sound rows as CSV, with columns made anew, and more rows: the first, but for what they say."""
        rows = [row | {name: make(row) for name, make in columns.items()} for row in SOUND]
        return self.all(rows + [{**rows[0], **row} for row in more])

    def all(self, rows: list[dict[str, Any]]) -> Path:
        """These rows alone, as CSV."""
        return self.file(csv_of(rows, quoting=csv.QUOTE_ALL))

    def column(self, name: str, values: pa.Array) -> None:
        """The sound rows as Parquet, one column of another type."""
        table = table_of()
        self.table(table.set_column(table.schema.get_field_index(name), name, values))

    def table(self, table: pa.Table, name: str = "rows.parquet") -> Path:
        """The source is this Parquet file."""
        (self.data / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, self.data / name)
        self.source["path"] = name
        return self.data / name


def csv_of(rows: list[dict[str, Any]], **dialect: Any) -> bytes:
    """Rows as CSV text."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), **({"lineterminator": "\n"} | dialect))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def table_of(rows: list[dict[str, Any]] = SOUND) -> pa.Table:
    """Rows as an Arrow table, times as text and quantities as numbers."""
    return pa.Table.from_pylist([row | {"quantity": float(row["quantity"])} for row in rows])

"""Export the live lists, with titles, to a Parquet or CSV file."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from recjobs.adapters import exported_files
from recjobs.adapters.whole_file import whole_file
from recjobs.catalog.file import Catalog
from recjobs.config import load_settings
from recjobs.errors import ListsRefused, Misuse
from recjobs.night.database import database

CHUNK_ROWS = 20_000
COLUMNS = {
    "user_id": pa.string(),
    "rank": pa.int32(),
    "item_id": pa.string(),
    "title": pa.string(),
    "score": pa.float32(),
    "source": pa.string(),
    "batch_id": pa.string(),
    "url": pa.string(),
    "image": pa.string(),
    "price": pa.float64(),
}
FORMULA = "^[=+@\t\r\n'＝＋－＠-]"
"""What makes a spreadsheet compute a text: these, some programs also take in their wide form; and our own mark."""
ENDINGS = (".parquet", ".csv", ".csv.gz")


def run(catalog: Catalog, to: str, n: int | None = None, overwrite: bool = False) -> dict[str, Any]:
    """Write a row per user and rank, the first n of each list (None: all that is served); return the counts.

    The file appears whole or not at all, and holds one batch. In CSV every text is quoted, a missing title is empty
    without quotes, and a text that a spreadsheet would compute begins with `'` (`as_plain_text`). Raises Misuse if the
    file exists and overwrite is false, ListsRefused if nothing is published.
    """
    path = Path(to)
    if not path.name.endswith(ENDINGS):
        raise Misuse(f"--to {to}: the name says the format; end it in {', '.join(ENDINGS)}")
    if not path.parent.is_dir():
        raise Misuse(f"--to {to}: there is no folder {path.parent}")
    if path.is_dir() or (path.exists() and not overwrite):
        raise Misuse(f"--to {to} is there already; choose another name{'' if path.is_dir() else ' or say --overwrite'}")
    has = catalog.items.columns.present if catalog.items else {}
    names = [name for name in COLUMNS if name not in ("url", "image", "price") or name in has]
    schema = pa.schema([(name, COLUMNS[name]) for name in names])
    as_written = as_plain_text if not path.name.endswith(".parquet") else lambda array: array
    rows, users, batch_id = 0, 0, None
    with database(catalog, "reader").connect() as session:
        if session.row("live_batch") is None:
            raise ListsRefused(f"nothing is published yet in {catalog.name}; run `recjobs night` first")
        with whole_file(path, overwrite) as unfinished, _writer(unfinished, path.name, schema) as writer:
            last = None
            for chunk in session.stream("served_items", CHUNK_ROWS, n=n):
                columns = dict(zip(COLUMNS, zip(*chunk, strict=True), strict=True))
                arrays = [pa.array(columns[name], COLUMNS[name]) for name in names]
                writer.write_table(pa.table([as_written(array) for array in arrays], schema=schema))
                ids = columns["user_id"]
                users += sum(one != before for before, one in zip((last, *ids), ids, strict=False))
                rows, last, batch_id = rows + len(chunk), ids[-1], columns["batch_id"][-1]
    exported_files.note(load_settings().state, path, catalog.name, time.time())
    return {"file": str(path), "batch_id": batch_id, "users": users, "rows": rows, "columns": names}


def as_plain_text(array: pa.Array) -> pa.Array:
    """An array whose texts no spreadsheet takes for a formula: `'` comes before one that begins with = + - @ tab CR LF.

    It also comes before one that begins with `'`, so that without a first `'` every text is what it was.
    """
    if not pa.types.is_string(array.type):
        return array
    marked = pc.binary_join_element_wise("'", array, "")
    return pc.if_else(pc.match_substring_regex(array, FORMULA), marked, array)


@contextlib.contextmanager
def _writer(path: Path, name: str, schema: pa.Schema) -> Iterator[Any]:
    if name.endswith(".parquet"):
        with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            yield writer
    else:
        compression = "gzip" if name.endswith(".gz") else None
        with pa.output_stream(path, compression=compression) as file, pyarrow.csv.CSVWriter(file, schema) as writer:
            yield writer

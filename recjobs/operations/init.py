"""Draft a catalog file from a data file; a person corrects the guessed columns."""

import json
import re
from dataclasses import replace
from pathlib import Path

import yaml
from pydantic import ValidationError

from recjobs.adapters import sources
from recjobs.adapters.whole_file import whole_file
from recjobs.catalog.file import Catalog, explain, json_schema
from recjobs.catalog.sources import Location
from recjobs.config import load_settings
from recjobs.core.rows.times import likely_unit
from recjobs.errors import DataRefused, Misuse

SCHEMA = ".schema.json"
"""The JSON Schema beside the catalog files, for editors."""
_HINTS = {
    "user_id": r"user|customer|client|buyer|visitor|member|account|response.?id|session",
    "item_id": r"item|product|stock|sku|asin|isbn|article|movie|track|good",
    "occurred_at": r"occurred|time|date|timestamp|_at$|when",
    "weight": r"quantity|qty|weight|count|amount",
    "title": r"title|description|name",
    "categories": r"categor|genre|department",
    "price": r"price|cost",
}


def run(path: str) -> dict[str, str]:
    """Write `<catalogs>/<name of the file or folder>.yaml`, never over an existing one.

    Raises DataRefused if the file cannot be read or no column looks like a user, an item or a time.
    """
    settings = load_settings()
    place = path if path.startswith("s3://") else str(Path(path).absolute())
    file = sources.find(Path.cwd(), place)[0]
    delimiter = sources.delimiter_of(file)
    file = replace(file, delimiter=delimiter)
    batch = next(iter(sources.read(file, None)), None)
    if batch is None or batch.num_rows == 0:
        raise DataRefused(f"{path}: no rows to guess from")
    names = batch.schema.names
    guess = {key: _named(names, pattern) for key, pattern in _HINTS.items()}
    missing = [key for key in ("user_id", "item_id", "occurred_at") if not guess[key]]
    if missing:
        raise DataRefused(
            f"{path}: no column looks like {', '.join(missing)} among {', '.join(names)}; write the catalog by hand"
        )
    name = re.sub(r"[^a-z0-9_]+", "_", Path(path).name.split(".")[0].lower()).strip("_")
    target = settings.catalogs / f"{name if name[:1].isalpha() else 'catalog_' + name}.yaml"
    if target.exists():
        raise Misuse(f"{target} is there already; rename it or the data file")
    columns = {key: guess[key] for key in ("user_id", "item_id", "occurred_at", "weight") if guess[key]}
    unit = likely_unit(batch.column(columns["occurred_at"]))
    attributes = {key: guess[key] for key in ("title", "categories", "price") if guess[key]}
    draft = {
        "description": f"Drafted from {Path(path).name}; see that the columns are right",
        "sources": [
            {
                "path": place,
                **({"delimiter": delimiter} if delimiter != Location().delimiter else {}),
                "columns": columns,
                "time": {"unit": unit} | ({"timezone": "UTC"} if unit == "iso" else {}),
            }
        ],
        **({"items": {"columns": attributes}} if attributes else {}),
    }
    try:
        Catalog.model_validate({**draft, "name": target.stem})
    except ValidationError as error:
        raise Misuse(f"{target} would be refused: {'; '.join(explain(error))}. Rename the data file") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(draft, sort_keys=False, allow_unicode=True)
    _write(target, f"# yaml-language-server: $schema={SCHEMA}\n{text}", overwrite=False)
    _write(target.parent / SCHEMA, json.dumps(json_schema(), indent=1), overwrite=True)
    return {"catalog": target.stem, "file": str(target), **columns}


def _write(path: Path, text: str, *, overwrite: bool) -> None:
    with whole_file(path, overwrite) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _named(names: list[str], pattern: str) -> str:
    exact = [n for n in names if re.fullmatch(pattern, n, re.IGNORECASE)]
    likely = [n for n in names if re.search(pattern, n, re.IGNORECASE)]
    ids = [n for n in likely if re.search(r"(id|code|no|number)\b", n, re.IGNORECASE)]
    return next(iter(exact or ids or likely), "")

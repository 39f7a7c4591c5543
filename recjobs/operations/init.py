"""Draft a catalog file from data files: what each is, and what its columns hold; a person corrects the guesses."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from recjobs.adapters.whole_file import whole_file
from recjobs.catalog.file import Catalog, explain, json_schema
from recjobs.config import load_settings
from recjobs.errors import Misuse
from recjobs.operations.draft import TO_FILL_IN, draft_of
from recjobs.operations.file_parts import joined_parts
from recjobs.operations.file_samples import sample

SCHEMA = ".schema.json"
"""The JSON Schema beside the catalog files, for editors."""


def run(*paths: str, name: str | None = None) -> dict[str, Any]:
    """Write `<catalogs>/<name>.yaml`, never over an existing one; default: the name of the file of interactions.

    Returns catalog, file, the columns of the interactions, and `notes`: what each file is, and what is left to fill in.
    Raises DataRefused if a file cannot be read or has no rows.
    """
    settings = load_settings()
    draft = draft_of(joined_parts([sample(path, settings) for path in paths]))
    stem = name or re.sub(r"[^a-z0-9_]+", "_", Path(draft.interactions).name.split(".")[0].lower()).strip("_")
    stem = stem if name or stem[:1].isalpha() else f"catalog_{stem}".strip("_")
    target = settings.catalogs / f"{stem}.yaml"
    if target.exists():
        raise Misuse(f"{target} is there already; rename it or the data file, or say --name")
    try:
        Catalog.model_validate({**draft.tree, "name": target.stem})
    except ValidationError as error:
        raise Misuse(f"{target} would be refused: {'; '.join(explain(error))}. Rename the data file") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    text = _with_comments(yaml.safe_dump(draft.tree, sort_keys=False, allow_unicode=True), draft.comments)
    _write(target, f"# yaml-language-server: $schema={SCHEMA}\n{text}", overwrite=False)
    _write(target.parent / SCHEMA, json.dumps(json_schema(), indent=1), overwrite=True)
    columns = draft.tree["sources"][0]["columns"]
    return {"catalog": target.stem, "file": str(target), **columns, "notes": draft.notes}


def _with_comments(text: str, comments: dict[str, str]) -> str:
    """The text with a comment behind the first line of each of these keys."""
    lines = text.splitlines()
    for key, comment in comments.items():
        place = next((n for n, line in enumerate(lines) if line.strip().startswith(f"{key}:")), None)
        if place is not None:
            lines[place] += f"  # {' '.join(comment.split())}"
    return "\n".join(lines) + "\n"


def is_complete(columns: Sequence[Any]) -> bool:
    """Whether no column is left to fill in."""
    return TO_FILL_IN not in columns


def _write(path: Path, text: str, *, overwrite: bool) -> None:
    with whole_file(path, overwrite) as unfinished:
        unfinished.write_text(text, encoding="utf-8")

"""The files of a catalog's inputs, and how a night pins them."""

import hashlib
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from recjobs.adapters import sources
from recjobs.adapters.sources import JoinedFiles, SourceFile, other_databases, query, tables
from recjobs.catalog.file import Catalog, Input
from recjobs.catalog.sources import Location, Source
from recjobs.config import Settings, connection_url
from recjobs.core.source_formats import TABLES
from recjobs.night.as_of import Inputs
from recjobs.night.night import data_folder


def inputs_of(catalog: Catalog, settings: Settings) -> Inputs:
    """Return the files of each input, as a night that begins now finds them. Raises DataRefused if one is missing."""
    queries = f"{settings.artifacts}/{catalog.name}/_inputs"
    return {key: files_of(catalog, settings, key, place, queries) for key, place in catalog.inputs.items()}


def files_of(
    catalog: Catalog, settings: Settings, key: str, place: Input, queries: str, *, whole: bool = True
) -> list[SourceFile]:
    """Return the files of a place; of a query, the file with its result, which is written into the folder `queries`.

    whole: whether the hash is that of all bytes, or only of the first megabytes.
    """
    if place.path is not None:
        return files_at(place, settings, whole=whole)
    connection = str(place.connection)
    url = connection_url(connection)
    pin = other_databases.pin if other_databases.is_other(url) else query.pin
    return [pin(str(place.sql), connection, key, url, queries, catalog.mapping(place))]


def files_at(
    place: Location, settings: Settings, *, whole: bool = True, pinned: Collection[str] = ()
) -> list[SourceFile]:
    """Return the files of a place's path, each with the files that it is joined to. Raises DataRefused without one.

    pinned: the paths that a night has begun with, which say the snapshots of tables; without one, the newest.
    """
    folder = data_folder(settings)
    format, ranges = place.format, place.ranges
    files: list[SourceFile]
    if format in TABLES:
        files = [tables.find(folder, str(place.path), str(format), place.dialect, ranges, pinned)]
    else:
        files = sources.find(
            folder, str(place.path), format, place.delimiter, place.dialect, whole=whole, ranges=ranges
        )
    join = place.join if isinstance(place, Source) else None
    if join is None:
        return files
    others = tuple(files_at(join, settings, whole=whole, pinned=pinned))
    joined = JoinedFiles(others, join.on, join.key or join.on, join.columns)
    return [replace(file, join=joined) for file in files]


def with_joined(key: str, files: list[SourceFile]) -> list[tuple[str, SourceFile]]:
    """Return the files of an input with its key, and those that they are joined to with `<key>.join`."""
    others = files[0].join.files if files and files[0].join else ()
    return [(key, file) for file in files] + [(f"{key}.join", file) for file in others]


def pinned(inputs: Inputs) -> dict[str, Any]:
    """The input for the request: each file with the catalog key that names it, and a hash of all."""
    files = [pair for key, of_key in inputs.items() for pair in with_joined(key, of_key)]
    digest = hashlib.sha256("\n".join(str(file.sha256) for _, file in files).encode()).hexdigest()
    entries = [{"of": key, "path": f.path, "bytes": f.n_bytes, "sha256": f.sha256} for key, f in files]
    return {"hash": digest, "files": entries}

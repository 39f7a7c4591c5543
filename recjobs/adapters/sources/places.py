"""The files of a path in a catalog, which is a file, a glob or a folder, on a disk or in S3."""

import fnmatch
import glob
import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs

from recjobs.adapters import sample_shop
from recjobs.adapters.object_store import s3_error
from recjobs.adapters.sources import compression, other_formats
from recjobs.core.source_formats import IN_A_CATALOG, PLAIN, TABLES, TITLES, USUAL, Dialect, format_of_suffix
from recjobs.errors import BadConfiguration, DataRefused

_READ_BYTES = 8 << 20
UNIT_SEPARATOR = "\x1f"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]+(/|$)")


@dataclass(frozen=True)
class SourceFile:
    """One file of a source: path or URL, format, and the hash and size of its content."""

    path: str
    format: str
    sha256: str
    n_bytes: int
    delimiter: str = ","
    dialect: Dialect = PLAIN
    partition: tuple[tuple[str, str | None], ...] = ()
    """The keys of the folders it lies in and their values, see `partition_of`."""
    join: "JoinedFiles | None" = None
    """Where other columns of its rows stand."""

    @property
    def sign(self) -> str:
        """The one character between fields as parsers see them: it stands for a delimiter of several."""
        return self.delimiter if len(self.delimiter) == 1 else UNIT_SEPARATOR


@dataclass(frozen=True)
class JoinedFiles:
    """Files with further columns of a source's rows: those whose `key` is the row's `on`."""

    files: tuple[SourceFile, ...]
    on: str
    key: str
    columns: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The files, for messages."""
        return ", ".join(file.path for file in self.files[:3]) + (" and more" if len(self.files) > 3 else "")


def find(
    data: Path,
    path: str,
    format: str | None = None,
    delimiter: str = ",",
    dialect: Dialect | None = None,
    *,
    whole: bool = True,
    ranges: Mapping[str, tuple[str, str]] | None = None,
) -> list[SourceFile]:
    """The files of a path relative to `data`, in order of name, with the hash of their bytes; whole=False: of the first
    megabytes of each, for who only looks. ranges: of keys of folders, see `partition_of`, the first and the last value
    that is read; files elsewhere are not opened.

    Of a folder, also one that a glob meets, all files of known formats, recursively, except names that begin with `.`
    or `_`, which writers use for unfinished files; with a format also files without a suffix. Raises DataRefused if
    there is none or one cannot be read, or if a folder holds tables that are not read; BadConfiguration if the format
    is unknown or differs between files; SystemAway if the object store does not answer.
    """
    if path.startswith(sample_shop.SCHEME):
        content = sample_shop.identity(path)
        return [SourceFile(path, "sample", hashlib.sha256(content).hexdigest(), len(content))]
    if "://" in path and not path.startswith("s3://"):
        raise BadConfiguration(f"{path}: rows are read from a disk or from s3://; copy them there first")
    shown = path if path.startswith("s3://") else str(data / path)
    with _answered(shown):
        names, inside = _in_s3(path) if path.startswith("s3://") else _on_disk(data, path)
    names = sorted(names + (_tables(shown, inside, format) if inside is not None else []))
    if not names:
        what = "there is no such file" if inside is None else _none_inside(inside)
        hint = "" if path.startswith("s3://") else ", or let RECJOBS_DATA name the folder it lies in"
        raise DataRefused(f"{shown}: {what}. Put it there{hint}")
    names = _within(shown, names, ranges or {})
    formats = {name: format or _format_of(name) for name in names}
    if len(set(formats.values())) > 1:
        first = {each: name for name, each in reversed(formats.items())}
        mixture = " and ".join(f"{name} is {TITLES[each]}" for each, name in sorted(first.items()))
        raise BadConfiguration(
            f"{shown}: {mixture}; say {IN_A_CATALOG} in the catalog, or name the files by a pattern such as *.parquet"
        )
    return [_identify(name, formats[name], delimiter, dialect or PLAIN, whole) for name in names]


def _within(shown: str, names: list[str], ranges: Mapping[str, tuple[str, str]]) -> list[str]:
    """The files whose folders' keys lie within the ranges. Raises DataRefused if one lacks a key, or none is left."""
    for key, (first, last) in ranges.items():
        values = {name: keys[key] for name in names if key in (keys := dict(partition_of(name)))}
        if lacking := next((name for name in names if name not in values), None):
            raise DataRefused(f"{lacking}: lies in no folder {key}=..., which `partitions` asks for")
        kept = [name for name in names if (value := values[name]) is not None and first <= value <= last]
        if not kept:
            has = sorted(value for value in values.values() if value is not None) or ["nothing"]
            raise DataRefused(f"{shown}: no {key} is within `partitions`; the folders have {has[0]!r} to {has[-1]!r}")
        names = kept
    return names


_Found = tuple[list[str], dict[str, str] | None]
"""The files that the path names, and those in folders that it names with their paths there; None without a folder."""


def _on_disk(data: Path, path: str) -> _Found:
    # A file may be called sales[1].csv: a path that exists is not a pattern.
    if (data / path).is_file():
        return [str(data / path)], None
    if (data / path).is_dir():
        return [], _in_folder(data / path)
    files: list[str] = []
    inside: dict[str, str] | None = None
    for name in glob.glob(path, root_dir=data):
        if (data / name).is_dir():
            inside = (inside or {}) | _in_folder(data / name)
        elif (data / name).is_file() and not other_formats.is_marker(name):
            files.append(str(data / name))
    return files, inside


def _in_folder(folder: Path) -> dict[str, str]:
    return {str(file): str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def _in_s3(path: str) -> _Found:
    system, place = file_system(path)
    info = system.get_file_info(place.rstrip("/"))
    if info.type == fs.FileType.File:
        return [path], None
    if info.type == fs.FileType.Directory:
        below = _files_below(system, place.rstrip("/"))
        return [], {f"s3://{name}": str(PurePosixPath(name).relative_to(place)) for name in below}
    parts = place.split("/")
    fixed = next((n for n, part in enumerate(parts) if glob.has_magic(part)), 0)
    if not fixed:  # no pattern, or one in the bucket's name, and buckets cannot be listed
        return [], None
    pattern = PurePosixPath(place).parts
    files: list[str] = []
    inside: dict[str, str] = {}
    for name in _files_below(system, "/".join(parts[:fixed])):
        own = PurePosixPath(name).parts
        if _matches(own[: len(pattern)], pattern):
            if len(own) > len(pattern):
                inside[f"s3://{name}"] = "/".join(own[len(pattern) :])
            elif not other_formats.is_marker(name):
                files.append(f"s3://{name}")
    return files, inside or None


def _tables(shown: str, inside: dict[str, str], format: str | None) -> list[str]:
    """The files in folders that hold rows. Raises DataRefused where a part of them would be left out unsaid."""
    if table_format := other_formats.table_format(inside.values()):
        way_to_read = {title: f"; or say `format: {name}` in the catalog" for name, title in TABLES.items()}
        raise DataRefused(
            f"{shown}: is a table of {table_format}: its files also hold rows that were deleted or replaced. Write its "
            f"rows as Parquet into another folder, and name that{way_to_read.get(table_format, '')}"
        )
    finished = [name for name, relative in inside.items() if _is_finished(PurePosixPath(relative))]
    known = [name for name in finished if (found := known_format(name)) and format in (None, found)]
    known += [name for name in finished if format == "jsonl" and other_formats.is_json(name)]
    unloaded = [name for name in finished if other_formats.is_unloaded(name)]
    if format:
        return known + unloaded
    for name in finished:
        if known and (what := other_formats.by_suffix(name, beside_tables=True)):
            raise DataRefused(f"{name}: {what}. Or say in the catalog which `format` the folder is read in")
    if known and unloaded:
        raise DataRefused(
            f"{unloaded[0]}: has no suffix, beside files such as {known[0]}; say {IN_A_CATALOG} in the catalog, which "
            "reads it too, or name the files by a pattern"
        )
    return known


def _none_inside(inside: dict[str, str]) -> str:
    what = "no .parquet or .csv file in this folder (nor .jsonl)"
    finished = sorted(name for name, relative in inside.items() if _is_finished(PurePosixPath(relative)))
    if unloaded := next(filter(other_formats.is_unloaded, finished), None):
        return f"{what}; it has {PurePosixPath(unloaded).name}, without a suffix: say {IN_A_CATALOG} in the catalog"
    if other := next((name for name in finished if other_formats.by_suffix(name)), None):
        return f"{what}; {PurePosixPath(other).name} {other_formats.by_suffix(other)}"
    return what


def _files_below(system: fs.FileSystem, folder: str) -> list[str]:
    selector = fs.FileSelector(folder, recursive=True, allow_not_found=True)
    return sorted(info.path for info in system.get_file_info(selector) if info.type == fs.FileType.File)


def _matches(parts: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    """As glob.glob does: `*` stays within a folder and does not match a leading dot."""
    return len(parts) == len(patterns) and all(
        fnmatch.fnmatchcase(part, pattern) and (not part.startswith(".") or pattern.startswith("."))
        for part, pattern in zip(parts, patterns, strict=True)
    )


def _is_finished(relative: PurePosixPath | Path) -> bool:
    return not any(part.startswith((".", "_")) for part in relative.parts)


def known_format(name: str) -> str | None:
    """The format by a file's suffix, or None."""
    suffixes = [s.lower() for s in PurePosixPath(name).suffixes if s.lower() not in (".gz", ".zip")]
    return format_of_suffix(suffixes[-1]) if suffixes else None


def partition_of(name: str) -> tuple[tuple[str, str | None], ...]:
    """Keys and values of folders such as day=2025-03-01, as Hive and Spark write them; None where they write null."""
    pairs = (part.partition("=") for part in PurePosixPath(name).parent.parts)
    return tuple(
        (unquote(key), None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value))
        for key, sign, value in pairs
        if key and sign
    )


def _format_of(name: str) -> str:
    file_format = known_format(name)
    if file_format is None and compression.is_zip(name):
        file_format = known_format(compression.name_inside(name, file_system))
    if file_format:
        return file_format
    if what := other_formats.by_suffix(name):
        raise BadConfiguration(f"{name}: {what}")
    raise BadConfiguration(f"{name}: neither {USUAL}; say {IN_A_CATALOG} in the catalog")


def _identify(name: str, file_format: str, delimiter: str, dialect: Dialect, whole: bool) -> SourceFile:
    digest, n_bytes = hashlib.sha256(), 0
    with _answered(name), open_file(name) as file:
        while chunk := file.read(_READ_BYTES):
            if not n_bytes and (what := other_formats.by_content(name, chunk[:64])):
                raise DataRefused(f"{name}: {what}")
            digest.update(chunk)
            n_bytes += len(chunk)
            if not whole:
                break
    if n_bytes == 0:
        raise DataRefused(f"{name}: the file is empty (0 bytes); see why its export wrote nothing")
    return SourceFile(name, file_format, digest.hexdigest(), n_bytes, delimiter, dialect, partition_of(name))


def file_system(path: str) -> tuple[fs.FileSystem, str]:
    """The file system of a path or s3://bucket/..., and the path inside it."""
    if not path.startswith("s3://"):
        return fs.LocalFileSystem(), path
    # Endpoint, region and credentials come from the usual AWS_... variables, which the client reads itself, but the
    # endpoint only when it is made of a URI. Keys may hold what a URI cannot, hence the bucket alone.
    place = path.removeprefix("s3://")
    if not _BUCKET.match(place):
        raise BadConfiguration(f"{path}: names no bucket; say s3://bucket/folder/file")
    try:
        system, _ = fs.FileSystem.from_uri(f"s3://{place.partition('/')[0]}")
    except (pa.ArrowInvalid, OSError) as error:
        raise translated(path, error) from None
    return system, place


def open_file(path: str) -> pa.NativeFile:
    """A stream of a file's bytes, not decompressed."""
    system, place = file_system(path)
    return system.open_input_stream(place, compression=None)


@contextmanager
def _answered(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise DataRefused(f"{path}: there is no such file; it went away just now") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise translated(path, error) from None


def translated(path: str, error: Exception) -> Exception:
    """The error to raise for one of reading: as `s3_error` says, else DataRefused."""
    text = str(error)
    if "AWS Error" in text:
        return s3_error(path, text) or DataRefused(f"{path}: cannot be read ({text.splitlines()[0]})")
    return DataRefused(f"{path}: cannot be read ({getattr(error, 'strerror', None) or text}); see to its permissions")

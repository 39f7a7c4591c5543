"""Compressed files: gzip, and zip with one member. Nothing is ever written where a member's name says."""

import gzip
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import fs

from recjobs.errors import DataRefused

MOST_BYTES = 1 << 30
"""The largest content of a file of Parquet that is compressed as a whole."""
FileSystemOf = Callable[[str], tuple[fs.FileSystem, str]]


def is_gzip(path: str) -> bool:
    """Whether the name says gzip."""
    return path.lower().endswith(".gz")


def is_zip(path: str) -> bool:
    """Whether the name says zip."""
    return path.lower().endswith(".zip")


@contextmanager
def opened(path: str, file_system: FileSystemOf) -> Iterator[Any]:
    """The bytes of a file, decompressed, as a Python stream. Raises DataRefused for a zip without exactly one table."""
    system, place = file_system(path)
    with ExitStack() as stack:
        if is_zip(path):
            archive = stack.enter_context(_archive(path, stack.enter_context(system.open_input_file(place))))
            yield stack.enter_context(archive.open(_member(path, archive)))
            return
        raw: Any = stack.enter_context(system.open_input_stream(place, compression=None))
        yield stack.enter_context(gzip.open(raw)) if is_gzip(path) else raw


def random_access(path: str, file_system: FileSystemOf) -> pa.NativeFile:
    """A file as Parquet needs it; one that is compressed as a whole is held in memory."""
    if is_zip(path) or is_gzip(path):
        n_bytes = _member_of(path, file_system).file_size if is_zip(path) else 0  # a zip gives no more than it says
        with opened(path, file_system) as stream:
            content = stream.read(MOST_BYTES + 1) if n_bytes <= MOST_BYTES else b""
        if max(n_bytes, len(content)) > MOST_BYTES:
            raise DataRefused(
                f"{path}: holds more than {MOST_BYTES >> 20:,} MiB, compressed as a whole, which has to be held in "
                "memory; unpack it: Parquet compresses its columns itself"
            )
        return pa.BufferReader(content)
    system, place = file_system(path)
    return system.open_input_file(place)


def name_inside(path: str, file_system: FileSystemOf) -> str:
    """The name of a zip's member."""
    return _member_of(path, file_system).filename


def _member_of(path: str, file_system: FileSystemOf) -> zipfile.ZipInfo:
    system, place = file_system(path)
    with system.open_input_file(place) as raw, _archive(path, raw) as archive:
        return _member(path, archive)


def _archive(path: str, raw: Any) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(raw)
    except (zipfile.BadZipFile, pa.ArrowInvalid) as error:  # Arrow's of one without members
        raise DataRefused(f"{path}: no sound zip ({error}); fetch or export it again") from None


def _member(path: str, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if not m.is_dir() and not _is_of_a_desktop(m.filename)]
    if len(members) != 1:
        names = ", ".join(repr(m.filename) for m in members[:5]) or "nothing"
        raise DataRefused(
            f"{path}: holds {len(members)} files ({names}); a zip is read if it holds one: unpack it, name the folder"
        )
    [member] = members
    if member.flag_bits & 1:
        raise DataRefused(f"{path}: is encrypted; unpack it, and name the folder")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataRefused(f"{path}: {member.filename!r} is compressed in another way than deflate; unpack it")
    if is_zip(member.filename) or is_gzip(member.filename):
        raise DataRefused(f"{path}: holds {member.filename!r}, which is compressed again; unpack it once")
    return member


def _is_of_a_desktop(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return parts[0] == "__MACOSX" or parts[-1] in (".DS_Store", "Thumbs.db", "desktop.ini")

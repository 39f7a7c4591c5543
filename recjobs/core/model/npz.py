"""Safe reading of arrays in a .npz: no pickle, no path in a name, no size that differs from the bytes in the file.
Everything is checked before anything is read."""

import re
import stat
import struct
from typing import IO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy

from recjobs.errors import ModelUnreadable

DTYPES = tuple(np.dtype(name) for name in ("<f4", "<i8", "|u1"))
"""Factors, offsets, and the bytes of ids."""
MAX_ARRAYS = 32
_BROKEN = (BadZipFile, ValueError, EOFError, OSError, RuntimeError, SyntaxError, TypeError, MemoryError, struct.error)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}\.npy", re.ASCII)


def read(file: IO[bytes], where: str) -> dict[str, np.ndarray]:
    """The arrays that `numpy.savez` wrote, by name; `where` is the file's place, for the message.

    Raises ModelUnreadable for anything else.
    """
    try:
        with ZipFile(file) as archive:
            members = archive.infolist()
            _check(members, file.seek(0, 2))
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except _BROKEN as error:
        raise ModelUnreadable(f"{where} holds no plain arrays: {error}") from None


def _check(members: list[ZipInfo], n_bytes: int) -> None:
    names = [member.filename for member in members]
    if not names or len(names) > MAX_ARRAYS or len(set(names)) < len(names):
        raise ValueError(f"{len(names)} names, {len(set(names))} of them different")
    for member in members:
        if not _NAME.fullmatch(member.filename):
            raise ValueError(f"{member.filename!r} is no name of an array")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise ValueError(f"{member.filename} is no plain file")
        if member.compress_type != ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"{member.filename} is compressed, to {member.file_size} bytes")
    if sum(member.file_size for member in members) > n_bytes:
        raise ValueError(f"more bytes in it than its own {n_bytes}")


def _array(archive: ZipFile, member: ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        if npy.read_magic(file) != (1, 0):
            raise ValueError(f"{member.filename} is of another version of .npy")
        shape, fortran_order, dtype = npy.read_array_header_1_0(file)
        if dtype not in DTYPES or fortran_order or any(size < 0 for size in shape):
            raise ValueError(f"{member.filename} is an array of {dtype} {shape}")
        n_bytes = dtype.itemsize
        for size in shape:
            n_bytes *= size
        if n_bytes != member.file_size - file.tell():
            raise ValueError(f"{member.filename} has {member.file_size - file.tell()} bytes for {dtype} {shape}")
        return np.frombuffer(bytearray(file.read()), dtype).reshape(shape)

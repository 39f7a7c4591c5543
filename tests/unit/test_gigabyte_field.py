"""A field of a gigabyte is refused with its line, by a process that could not hold it."""

import gzip
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands import ROOT, environment_of

GIGABYTE, PART = 1 << 30, 1 << 20
HEAD, TAIL = b"user,item,at\nu,i,2024-05-01\n", b",i,2024-05-01\n"
READ = """
import resource, sys
import numpy, pandas, pyarrow.csv, pyarrow.parquet  # what is large before any row is read
from recjobs.errors import DataRefused
from tests.source_rows import understood

with open("/proc/self/statm") as statm:
    taken = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (768 << 20), resource.RLIM_INFINITY))
try:
    bytes(1 << 30)
    print("the limit does not hold")
except MemoryError:
    print("limited")
try:
    print(len(understood(path=sys.argv[1], **({"encoding": "utf-16"} if "utf-16" in sys.argv[1] else {}))[0]))
except DataRefused as error:
    print(f"refused: {error}")
"""


def parts(begin: bytes, of: bytes, end: bytes) -> Iterator[bytes]:
    """A gigabyte of `of` between begin and end."""
    yield begin
    part = of * (PART // len(of))
    yield from (part for _ in range(GIGABYTE // PART))
    yield end


def sparse(path: Path) -> None:
    """A file with a hole of a gigabyte, which takes no room."""
    with path.open("wb") as file:
        file.write(HEAD + b"u")
        file.seek(GIGABYTE, 1)
        file.write(TAIL)
    assert path.stat().st_size > GIGABYTE
    assert path.stat().st_blocks * 512 < PART


def gzipped(begin: bytes, of: bytes, end: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.writelines(parts(begin, of, end))

    return write


def zipped(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.csv", "w", force_zip64=True) as file,
    ):
        for part in parts(HEAD + b"u", b"a", TAIL):
            file.write(part)


FIELDS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a hole": ("x.csv", sparse, "line 3: "),
    "gzip": ("x.csv.gz", gzipped(HEAD + b"u", b"a", TAIL), "line 3: is longer than"),
    "gzip, in quotes": ("q.csv.gz", gzipped(HEAD + b'"u', b"a", b'"' + TAIL), "line 3: is longer than"),
    "gzip, in quotes, of many lines": ("n.csv.gz", gzipped(HEAD + b'"u', b"a" * 63 + b"\n", b'"' + TAIL), "line 3: "),
    "gzip, UTF-16": ("utf-16.csv.gz", gzipped(HEAD.decode().encode("utf-16"), b"a\0", b""), "line 3: is longer than"),
    "gzip, JSON": ("x.jsonl.gz", gzipped(b'{"user": "', b"a", b'"}\n'), "line 1: is longer than"),
    "zip": ("x.csv.zip", zipped, "line 3: is longer than"),
}


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="gigabytes are compressed: `make soak`")
@pytest.mark.parametrize("kind", FIELDS)
def test_a_field_of_a_gigabyte_is_refused_in_less_memory_than_it_takes(kind: str, tmp_path: Path) -> None:
    name, write, said = FIELDS[kind]
    write(tmp_path / name)
    try:
        settings = {f"RECJOBS_{key}": str(tmp_path) for key in ("STATE", "ARTIFACTS", "CATALOGS", "DATA")}
        done = subprocess.run(
            [sys.executable, "-c", READ, name], cwd=ROOT, env=environment_of(settings | {"MALLOC_ARENA_MAX": "2"}),
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
    finally:
        (tmp_path / name).unlink()
    assert done.returncode == 0, done.stderr
    limited, outcome = done.stdout.splitlines()
    assert limited == "limited"
    assert outcome.startswith("refused: ")
    assert said in outcome

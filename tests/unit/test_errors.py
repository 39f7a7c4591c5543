"""The tree of errors is the one its module draws, and every class answers its three questions."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import psycopg2
import pyarrow as pa
import pytest

from recjobs import errors
from recjobs.adapters.postgres_errors import is_full
from recjobs.config import ROOT


def classes(of=errors.RecjobsError):
    for kind in of.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from classes(kind)


def test_the_drawn_tree_is_the_tree():
    drawn, above = {}, {0: "RecjobsError"}
    for line in errors.__doc__.splitlines():
        if branch := re.match(r"^    ([│ ]*)[├└]── (\w+) +(?:(\d+)|\.\.\.)", line):
            depth = len(branch[1]) // 4 + 1
            above[depth] = branch[2]
            drawn[branch[2]] = (above[depth - 1], branch[3])
    assert {k.__name__: k.__bases__[0].__name__ for k in classes()} == {k: parent for k, (parent, _) in drawn.items()}
    for kind in classes():
        code = drawn[kind.__name__][1]
        assert code is None or kind.exit_code == int(code)


@pytest.mark.parametrize("kind", list(classes()), ids=lambda kind: kind.__name__)
def test_only_what_may_pass_by_itself_is_tried_again(kind):
    assert not kind.retry or kind.exit_code == 75
    assert kind.exit_code in (64, 65, 70, 75, 78)


def test_exit_codes_are_those_of_the_contract():
    codes = {kind.__name__: kind.exit_code for kind in classes()}
    assert codes["Misuse"] == 64
    assert codes["DataRefused"] == codes["ModelRefused"] == codes["ListsRefused"] == 65
    assert codes["Defect"] == 70
    assert codes["SystemAway"] == codes["Locked"] == codes["Superseded"] == codes["InputLate"] == 75
    assert codes["BadConfiguration"] == 78


def test_a_step_ends_as_the_error_it_raised_says():
    outcomes = {kind.__name__: kind.outcome for kind in classes()}
    assert outcomes["DataRefused"] == outcomes["ModelUnreadable"] == outcomes["ListsRefused"] == "refused"
    assert outcomes["SystemAway"] == outcomes["Locked"] == outcomes["Superseded"] == "waiting"
    assert outcomes["InputLate"] == "skipped"
    assert outcomes["Misuse"] == outcomes["Defect"] == outcomes["BadConfiguration"] == "failed"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('FATAL:  too many connections for role "recjobs_publisher"', True),
        ('FATAL:  too many connections for database "recjobs"', True),
        ("FATAL:  sorry, too many clients already", True),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", True),
        ("FATAL:  remaining connection slots are reserved for roles with privileges of the ... role", True),
        ("FATAL:  remaining connection slots are reserved for non-replication superuser connections", True),
        ("FATAL:  no more connections allowed (max_client_conn)", True),
        ("FATAL:  the database system is starting up", False),
        ("Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?", False),
    ],
)
def test_a_server_that_is_full_is_told_from_one_that_does_not_answer(text: str, expected: bool):
    assert is_full(psycopg2.OperationalError(f'connection to server at "db", port 5432 failed: {text}\n')) is expected


def test_a_full_disk_and_short_memory_are_named_and_nothing_else_is():
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space left") as disk:
        full.write(b"x")
    with pytest.raises(MemoryError) as memory:
        np.empty(1 << 57, dtype=np.int64)
    for error, kind, text in (
        (disk.value, errors.DiskFull, "a disk is full ([Errno 28] No space left on device)"),
        (memory.value, errors.MemoryShort, "memory is short (Unable to allocate 1.00 EiB"),
        (MemoryError(), errors.MemoryShort, "memory is short (MemoryError)"),
        (RuntimeError("can't start new thread"), errors.MemoryShort, "memory is short (can't start new thread)"),
        (
            pa.ArrowException("Unknown error: Wrapping ü\n1 failed"),
            errors.MemoryShort,
            "memory is short (Unknown error",
        ),
    ):
        named = errors.of_the_machine(error)
        assert (type(named), named.exit_code, named.retry) == (kind, 75, True)
        assert str(named).startswith(text)
    assert errors.of_the_machine(OSError(13, "Permission denied")) is None
    assert errors.of_the_machine(ValueError("x")) is None
    assert errors.of_the_machine(ImportError("No module named 'x'")) is None
    assert errors.of_the_machine(RuntimeError("x")) is None
    text = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")])
    with pytest.raises(pa.ArrowException, match="Wrapping") as no_text:
        text.to_numpy(zero_copy_only=False)
    assert errors.of_the_machine(no_text.value) is None, "it is not UTF-8, which is no matter of memory"


SHORT = """
import resource
from pathlib import Path
from recjobs.errors import of_the_machine
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 18), resource.RLIM_INFINITY))
try:
    import psycopg2
except ImportError as error:
    print(type(of_the_machine(error)).__name__, of_the_machine(error))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")
def test_a_library_that_finds_no_room_in_memory_is_no_defect_of_ours():
    done = subprocess.run([sys.executable, "-c", SHORT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("MemoryShort memory is short ("), done
    assert ".so" in done.stdout

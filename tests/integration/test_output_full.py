"""Output that has no room, as on a full disk, is no traceback: the exit code says what was done, or what is missing."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from recjobs.cli.progress import _console
from tests.commands import ROOT, environment_of

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


def run(*arguments: str, out: bool, err: bool) -> tuple[int, str]:
    """Run a command with stdout or stderr on a disk that is full; returns the exit code, and stderr if it is read."""
    with FULL.open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "recjobs", *arguments],
            cwd=ROOT, env=environment_of({}), stdout=full if out else subprocess.DEVNULL,
            stderr=full if err else subprocess.PIPE, timeout=300, check=False,
        )  # fmt: skip
    return done.returncode, (done.stderr or b"").decode()


def test_a_result_that_finds_no_room_is_said_in_one_line():
    code, said = run("schema", out=True, err=False)
    assert code == 75
    assert said.startswith("recjobs: a disk is full")
    assert len(said.splitlines()) == 1, said


def test_a_message_that_finds_no_room_leaves_the_exit_code():
    assert run("reasons", out=False, err=True)[0] == 0
    assert run("rejected", "--catalog", "nothing", out=False, err=True)[0] == 64


def test_progress_that_finds_no_room_is_left_out(monkeypatch: pytest.MonkeyPatch):
    full = os.fdopen(os.open(FULL, os.O_WRONLY), "w", buffering=1)
    monkeypatch.setattr(sys, "stderr", full)
    _console().print("a line " * 2000)
    monkeypatch.undo()
    with pytest.raises(OSError, match="No space left"):
        print("a line " * 2000, file=full, flush=True)
    with suppress(OSError):
        full.close()

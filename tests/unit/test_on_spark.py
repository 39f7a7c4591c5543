"""One process at a time computes a night on Spark."""

import subprocess
import sys
from pathlib import Path

import pytest

from recjobs.errors import Locked
from recjobs.night.on_spark import claim

HOLD = """
import fcntl, os, sys, time
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(600)
"""


def test_a_night_that_another_process_computes_is_refused_until_that_is_killed(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(Locked, match=f"another process is computing the night in {tmp_path} on Spark"):
            claim(str(tmp_path))
        other.kill()
    assert claim(str(tmp_path)) == claim(str(tmp_path)), "a process has it once, whatever the number of its steps"

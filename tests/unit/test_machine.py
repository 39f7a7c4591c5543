"""What a machine has: the memory that its control groups leave, its disk, and the most that a process took."""

import gc
import os
import weakref
from pathlib import Path

import numpy as np
import pytest

from recjobs.adapters import machine

RAM = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
V1_UNLIMITED = "9223372036854771712"


@pytest.mark.parametrize(
    ("own", "limits", "least"),
    [
        ("0::/", {"memory.max": "max"}, RAM),
        ("0::/", {"memory.max": "700000000"}, 700_000_000),
        ("0::/pods/one", {"pods/memory.max": "600000000", "pods/one/memory.max": "max"}, 600_000_000),
        ("0::/pods/one", {"pods/memory.max": "600000000", "pods/one/memory.max": "500000000"}, 500_000_000),
        ("0::/pods/one", {"pods/two/memory.max": "1000"}, RAM),
        ("9:cpu,memory:/job\n1:name=systemd:/", {"memory/job/memory.limit_in_bytes": "400000000"}, 400_000_000),
        ("9:memory:/job", {"memory/job/memory.limit_in_bytes": V1_UNLIMITED}, RAM),
        ("9:memory:/elsewhere", {"memory/memory.limit_in_bytes": "300000000"}, 300_000_000),
        ("9:cpu:/job", {"memory/job/memory.limit_in_bytes": "1000"}, RAM),
        ("0::/", {"memory.max": str(2 * RAM)}, RAM),
        ("", {}, RAM),
    ],
)
def test_the_least_limit_of_its_groups_is_what_a_process_may_have(
    tmp_path: Path, own: str, limits: dict[str, str], least: int
):
    (tmp_path / "own").write_text(own)
    for name, content in limits.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(content + "\n")
    found, why = machine.memory(tmp_path / "groups", tmp_path / "own")
    assert found == least
    assert ("control group" in why) == (least < RAM)


def test_without_control_groups_it_is_the_machines(tmp_path: Path):
    assert machine.memory(tmp_path / "none", tmp_path / "none")[0] == RAM


def test_the_disk_of_a_folder_that_is_not_there_yet_is_that_of_the_one_above(tmp_path: Path):
    found = machine.disk(str(tmp_path / "a" / "b"))
    assert found
    assert found[1] == machine.disk(str(tmp_path))[1]  # type: ignore[index]
    assert 0 < found[0] <= found[1]
    assert machine.disk("s3://bucket/nights") is None


def test_the_peak_is_seen_after_the_memory_is_given_back_and_is_forgotten():
    if not machine.forget_peak():
        pytest.skip("this kernel does not let a process forget its peak")
    before = machine.peak_bytes()
    np.ones(40_000_000)  # 320 MB
    peak = machine.peak_bytes()
    assert peak - before > 250e6
    machine.forget_peak()
    assert machine.peak_bytes() < peak - 100e6


def test_the_probe_takes_time():
    assert machine.probe() > 0


class Held:
    """Something in a cycle, which only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


def test_memory_that_a_step_left_in_cycles_is_given_back_and_what_stays_is_not_looked_through_again():
    stays, before = Held(), gc.get_freeze_count()
    gc.disable()
    try:
        left = weakref.ref(Held())
        assert left()
        machine.give_back()
        assert left() is None
        assert gc.get_freeze_count() > before
        assert not any(each is stays for each in gc.get_objects()), "it is looked through again"
        left = weakref.ref(Held())
        assert left()
        machine.give_back()
        assert left() is None, "that of the second step stays"
    finally:
        gc.enable()
        gc.unfreeze()

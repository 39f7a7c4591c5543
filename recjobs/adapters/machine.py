"""What this machine has: memory, disk, speed; and how much memory this process took at most."""

import ctypes
import gc
import os
import resource
import shutil
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa

_CGROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60


def memory(groups: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> tuple[int, str]:
    """How much memory a process may have, and by what: the least limit of its control groups, or the machine's."""
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [limit for file in _limits(groups, own) if (limit := _number(file)) and limit < _UNLIMITED]
    least = min(limits, default=ram)
    return (least, "the limit of its control group") if least < ram else (ram, "all of this machine's")


def _limits(groups: Path, own: Path) -> list[Path]:
    """The files with the limits of this process's groups, of both versions, those above them included."""
    files = [groups / "memory.max", groups / "memory" / "memory.limit_in_bytes"]
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return files
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        root, name = (groups / "memory", "memory.limit_in_bytes") if controllers else (groups, "memory.max")
        if controllers and "memory" not in controllers.split(","):
            continue
        group = root / path.lstrip("/")
        files += [folder / name for folder in (group, *group.parents) if folder.is_relative_to(root)]
    return files


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # there is none, or it says max
        return None


def disk(path: str) -> tuple[int, int] | None:
    """(free, size) in bytes of the disk that a path will lie on; None of an object store."""
    if "://" in path:
        return None
    folder = Path(path).absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return usage.free, usage.total


def give_back() -> None:
    """Give memory that nothing uses any more back to the kernel. Allocators keep what was freed, so that a process
    would have the memory of one step while it works on the next.

    Python looks for unused cycles among what was made since the last call only: all that is left then, the imported
    modules above all, stays as long as it is referred to, and to look through it takes a fifth of a second each time.
    """
    gc.collect()
    gc.freeze()
    give_back_freed()


def give_back_freed() -> None:
    """The same for what was freed already, without a look for more: some 20 ms."""
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def forget_peak() -> bool:
    """Let `peak_bytes` count from now on; False where the kernel cannot: it counts from the process's start then."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def peak_bytes() -> int:
    """The most memory that this process had resident since `forget_peak`."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def probe() -> float:
    """Seconds that this machine takes for a little of what a night does: sort, gather, multiply, select. The middle of
    three tries."""
    rng = np.random.default_rng(1)
    keys = rng.integers(0, 1 << 40, 1_000_000)
    users, items = (rng.random((n, 64), np.float32) for n in (1_500, 10_000))
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        order = np.argsort(keys, kind="stable")
        keys[order].sum()
        np.argpartition(users @ items.T, 100, axis=1)
        seconds.append(time.perf_counter() - began)
    return sorted(seconds)[1]

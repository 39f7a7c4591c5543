"""What a command costs before it does anything: `recjobs --help` and `status` against a Python that does nothing.

In processor time, which hardly depends on what else the machine does; each in turn with the others. `status` has a
catalog in a Postgres of its own.

    python -m benchmarks.startup
"""

import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import night
from benchmarks.beside import THIS, checked, environment, failure

ROUNDS = 5
NOTHING = "python -c pass, processor time"
TARGETS = {"--help": 10.0, "status": 33.0}
"""Command -> its processor time in multiples of that of a Python that does nothing. The latter takes 0.03 s where a
command should answer in 0.3 s and 1 s."""


@dataclass(frozen=True)
class Startup:
    """Medians of processor time in seconds: of a command, and of a Python that does nothing."""

    command: str
    ours: float
    floor: float
    target: float


def main() -> None:
    """Print the ratios."""
    for one in measure():
        passes = "yes" if one.ours <= one.target * one.floor else "NO"
        ratio = one.ours / one.floor
        print(f"{one.command:<18}{one.ours:>7.3f}s{one.floor:>9.3f}s{ratio:>7.1f}{one.target:>7.1f}{passes:>6}")


def measure(rounds: int = ROUNDS) -> Iterator[Startup]:
    """The commands of TARGETS, each run `rounds` times."""
    with (
        tempfile.TemporaryDirectory(prefix="bench") as folder,
        night.world(Path(folder) / "night", "bench", night.WARM_UP, Path(folder) / "mlflow.db") as (settings, _),
    ):
        variables = environment(settings)
        checked(THIS.command("recjobs", "migrate"), THIS.root, variables)
        commands = {argument: THIS.command("recjobs", argument) for argument in TARGETS}
        taken: dict[str, list[float]] = {name: [] for name in (NOTHING, *commands)}
        for _ in range(rounds):
            for name, command in {NOTHING: [sys.executable, "-c", "pass"], **commands}.items():
                taken[name].append(processor_seconds(command, variables))
    floor = statistics.median(taken[NOTHING])
    for argument, target in TARGETS.items():
        yield Startup(f"recjobs {argument}", statistics.median(taken[argument]), floor, target)


def processor_seconds(command: Sequence[str], variables: Mapping[str, str]) -> float:
    """The processor time of a process and of its children. Exits with one message if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=THIS.root, env=variables, capture_output=True, text=True, errors="replace")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise failure(command, THIS.root, done.returncode, done.stderr)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()

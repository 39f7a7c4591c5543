"""Two builds side by side: this checkout, and another commit in a folder and an environment of its own.

Nothing of the other build is imported, as its layout may differ: it is only started by its command line.
"""

import math
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.environment import inherited
from recjobs.config import ROOT

SETTINGS = ("RECJOBS_", "MLFLOW_", "STATSD_", "WEBAPP_", "AIRFLOW_", "POSTGRES_", "PG")
"""What could make two builds behave differently, if one of them reads it elsewhere."""
MAKE = ("MAKE", "MFLAGS", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
"""The flags of the `make` that started the benchmark, and what a shell may say about Python's modules."""


@dataclass(frozen=True)
class Build:
    """A checkout with its `.venv`."""

    name: str
    root: Path

    def command(self, program: str, *arguments: str) -> list[str]:
        """The command line of one of its programs."""
        return [str(self.root / ".venv" / "bin" / program), *arguments]


THIS = Build("this", ROOT)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without its settings of the product, and with these."""
    return {k: v for k, v in inherited().items() if not k.startswith((*SETTINGS, *MAKE))} | dict(settings)


def builds(commit: str | None) -> list[Build]:
    """This checkout, and the one of a commit where there is one."""
    return [THIS, checkout(commit)] if commit else [THIS]


def checkout(commit: str) -> Build:
    """A commit's files in `.local/bench/<commit>`, installed by that commit's own `make install`.

    Exits with one message when there is no such commit, or when its install fails.
    """
    command = ["git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"]
    resolved = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if resolved.returncode:
        raise SystemExit(f"BESIDE={commit}: `{' '.join(command)}` knows no such commit. {resolved.stderr}".strip())
    name = resolved.stdout.strip()[:12]
    root = ROOT / ".local" / "bench" / name
    if not root.exists():
        unfinished = root.with_name(f"{name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        archive = unfinished / "files.tar"
        checked(["git", "archive", "--output", str(archive), name], ROOT, environment({}))
        checked(["tar", "-xf", str(archive), "-C", str(unfinished)], ROOT, environment({}))
        archive.unlink()
        unfinished.rename(root)
    print(f"installing {name} in {root.relative_to(ROOT)} ...", file=sys.stderr, flush=True)
    checked(["make", "install"], root, environment({}))
    return Build(name, root)


def checked(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> str:
    """The standard output of a command that must succeed."""
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise failure(command, folder, done.returncode, done.stderr)
    return done.stdout


def failure(command: Sequence[str], folder: Path, code: int, stderr: str) -> SystemExit:
    """The one message about a command that failed, with the end of its standard error."""
    end = "\n".join(stderr.strip().splitlines()[-15:])
    return SystemExit(f"`{' '.join(command)}` in {folder} failed with exit code {code}:\n{end}")


def turns(pair: Sequence[Build], rounds: int) -> Iterator[tuple[int, Build]]:
    """(round, build) in the order A B B A A B ..., so that a drift of the machine meets both builds alike."""
    for count in range(rounds):
        for build in pair if count % 2 == 0 else pair[::-1]:
            yield count, build


@dataclass(frozen=True)
class Comparison:
    """One figure of both builds, round by round."""

    this: Sequence[float]
    other: Sequence[float]

    @property
    def ratios(self) -> list[float]:
        """This build's figure divided by the other's, within each round."""
        return [a / b for a, b in zip(self.this, self.other, strict=True)]

    def summary(self) -> dict[str, Any]:
        """Medians, and the ratios of the rounds with their median, its interval (95%) and their extremes."""
        ratios = self.ratios
        low, high = median_interval(ratios)
        return {
            "this": statistics.median(self.this),
            "other": statistics.median(self.other),
            "ratio": statistics.median(ratios),
            "ratio_low": low,
            "ratio_high": high,
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "ratios": ratios,
        }


def median_interval(values: Sequence[float], coverage: float = 0.95) -> tuple[float, float]:
    """The narrowest pair of these values, as far from either end, that holds the true median so often.

    It supposes nothing of their distribution: each lies above the median with probability 1/2. Fewer than six values do
    not reach 95%: then it is their extremes.
    """
    ordered, n = sorted(values), len(values)
    outside, rank = 0.0, 0
    while rank < n // 2 and outside + (more := 2 * math.comb(n, rank) / 2**n) <= 1 - coverage:
        outside, rank = outside + more, rank + 1
    rank = max(1, rank)
    return ordered[rank - 1], ordered[n - rank]


def table(pair: Sequence[Build], comparisons: Mapping[str, Comparison]) -> Iterator[str]:
    """A line for each figure: both medians, the median of the ratios, its interval (95%) and their extremes, then the
    ratio of each round."""
    names = [build.name for build in pair]
    yield f"{'':<33}{names[0]:>12}{names[1]:>14}{'ratio':>8}{'95%':>7}{'':>7}{'min':>7}{'max':>7}   each round"
    for figure, comparison in comparisons.items():
        s = comparison.summary()
        rounds = " ".join(f"{ratio:.2f}" for ratio in s["ratios"])
        yield (
            f"{figure:<33}{s['this']:>12,.2f}{s['other']:>14,.2f}"
            f"{s['ratio']:>8.3f}{s['ratio_low']:>7.3f}{s['ratio_high']:>7.3f}"
            f"{s['ratio_min']:>7.2f}{s['ratio_max']:>7.2f}   {rounds}"
        )

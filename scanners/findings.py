"""What a scanner found, which of it is suppressed and why, and the same as SARIF."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
PLANTED = "scanners/planted/"
MOST_SUPPRESSIONS = 10
INLINE = re.compile(
    r"(?:#\s*(shellcheck disable=|hadolint (?:global )?ignore=|checkov:skip=|zizmor: ignore|yamllint disable)"
    r"|(checkov\.io/skip)\d*:\s*)([^\s=]*)(.*)"
)


@dataclass(frozen=True, order=True)
class Finding:
    """One complaint of one scanner."""

    scanner: str
    path: str
    """Relative to the repository; for a licence the lock."""
    line: int
    """From 1."""
    rule: str
    message: str

    @property
    def planted(self) -> bool:
        """Whether the fault is one that was put there to be found."""
        return self.path.startswith(PLANTED)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.scanner} {self.rule}: {self.message[:200]}"


@dataclass(frozen=True)
class Suppression:
    """Findings that are accepted."""

    scanner: str
    rule: str
    reason: str
    path: str = ""
    """The end of the finding's path; empty: any."""
    message: str = ""
    """A part of the finding's message; empty: any."""

    def covers(self, finding: Finding) -> bool:
        """Whether it accepts this finding."""
        return (
            (self.scanner, self.rule) == (finding.scanner, finding.rule)
            and finding.path.endswith(self.path)
            and self.message in finding.message
        )


def suppressions(path: Path) -> list[Suppression]:
    """Those of a file. Raises `ValueError` if one has no reason."""
    found = [Suppression(**entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8")) or []]
    for suppression in found:
        if len(suppression.reason.split()) < 4:
            raise ValueError(f"{path.name}: {suppression.scanner} {suppression.rule} has no reason")
    return found


def inline_suppressions(paths: Iterable[str]) -> Iterator[Finding]:
    """Comments that silence a scanner; `rule` is what, `message` the reason, on the line or above."""
    for path in paths:
        above = ""
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if found := INLINE.search(line):
                comment, annotation, rule, reason = found.groups()
                yield Finding("inline", path, number, f"{comment or annotation}{rule}", (reason + above).strip(" #:=-"))
            above = line if line.strip().startswith("#") and not line.startswith("#!") else ""


def sarif(findings: dict[str, list[Finding]]) -> dict[str, Any]:
    """A SARIF 2.1.0 log with one run a scanner, also where it found nothing: that closes what it found before."""
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": scanner, "rules": [{"id": r} for r in sorted({f.rule for f in found})]}},
                "results": [
                    {
                        "ruleId": finding.rule,
                        "level": "error",
                        "message": {"text": finding.message},
                        "locations": [
                            {
                                "physicalLocation": {
                                    "artifactLocation": {"uri": finding.path},
                                    "region": {"startLine": finding.line},
                                }
                            }
                        ],
                    }
                    for finding in found
                ],
            }
            for scanner, found in findings.items()
        ],
    }

"""`python -m scanners`: run the scanners, or those that are named. Exit code 0: clean; 1: findings; 70: no result."""

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from scanners import files
from scanners.findings import (
    MOST_SUPPRESSIONS,
    PLANTED,
    ROOT,
    Finding,
    Suppression,
    inline_suppressions,
    sarif,
    suppressions,
)
from scanners.tools import SCANNERS, Scanner, ScannerFailed

HERE = ROOT / "scanners"


def main(arguments: list[str] | None = None) -> int:
    """Run, print a line a scanner and one a finding, and write SARIF if asked to."""
    options = _options(arguments)
    chosen = [scanner for scanner in SCANNERS if not options.names or scanner.name in options.names]
    names = files.tracked()
    accepted = suppressions(options.suppressions)
    planted = yaml.safe_load((HERE / "planted" / "expected.yaml").read_text(encoding="utf-8"))
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda scanner: _findings(scanner, names), chosen))
    complaints, kept = [], dict[str, list[Finding]]()
    for scanner, found in zip(chosen, results, strict=True):
        if isinstance(found, str):
            complaints.append(f"{scanner.name} gave no result: {found}")
            continue
        missed = set(planted[scanner.name]) - {finding.rule for finding in found if finding.planted}
        if missed:
            complaints.append(f"{scanner.name} did not find what was planted for it: {', '.join(sorted(missed))}")
        ours = [finding for finding in found if not finding.planted]
        kept[scanner.name] = sorted(f for f in ours if not any(s.covers(f) for s in accepted))
        count = len([name for name in scanner.chosen(names) if not name.startswith(PLANTED)])
        faults = len(planted[scanner.name])
        print(
            f"{scanner.name}: {count} files, {len(kept[scanner.name])} findings, "
            f"{len(ours) - len(kept[scanner.name])} suppressed, {faults - len(missed)} of {faults} planted faults found"
        )
        stale = [s for s in accepted if s.scanner == scanner.name and not any(s.covers(f) for f in ours)]
        complaints += [f"{s.scanner} {s.rule} {s.path}: suppressed, but not found any more" for s in stale]
    complaints += _too_many(accepted, names)
    for finding in [finding for found in kept.values() for finding in found]:
        print(finding)
    for complaint in complaints:
        print(f"error: {complaint}", file=sys.stderr)
    if options.sarif:
        options.sarif.write_text(json.dumps(sarif(kept), indent=1), encoding="utf-8")
    return 70 if complaints else 1 if any(kept.values()) else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scanners", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*(s.name for s in SCANNERS), []], metavar="SCANNER")
    parser.add_argument("--sarif", type=Path, metavar="FILE", help="write the findings there, for code scanning")
    parser.add_argument("--suppressions", type=Path, default=HERE / "suppressions.yaml", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _findings(scanner: Scanner, names: list[str]) -> list[Finding] | str:
    """What it found, or why it gave no result."""
    try:
        return list(scanner.findings(scanner.chosen(names)))
    except (ScannerFailed, OSError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


def _too_many(accepted: list[Suppression], names: list[str]) -> list[str]:
    """Comments without a reason, and more suppressions than anybody reads."""
    read = {*files.dockerfiles(names), *files.yamls(names), *files.shell_scripts(names)}
    inline = list(inline_suppressions(sorted(name for name in read if not name.startswith(PLANTED))))
    complaints = [f"{f.path}:{f.line}: {f.rule} has no reason" for f in inline if len(f.message.split()) < 3]
    if len(accepted) + len(inline) > MOST_SUPPRESSIONS:
        complaints.append(f"{len(accepted) + len(inline)} suppressions; at most {MOST_SUPPRESSIONS}")
    return complaints


if __name__ == "__main__":
    sys.exit(main())

"""The scanners: on which files each runs, how it is called, and how what it prints is read."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scanners import files, licences
from scanners.findings import ROOT, Finding

BIN = Path(sys.prefix) / "bin"
KUBECTL = str(ROOT / ".venv" / "bin" / "kubectl")
"""That of requirements-dev.txt, which the tests render the manifests with."""


class ScannerFailed(Exception):
    """A scanner did not run, or printed what nobody can read."""


@dataclass(frozen=True)
class Scanner:
    """One tool."""

    name: str
    chosen: Callable[[list[str]], list[str]]
    """Which of the checkout's files it reads."""
    findings: Callable[[list[str]], Iterator[Finding]]
    slow: bool = False
    """Takes more than a few seconds."""


def _run(name: str, *arguments: str) -> str:
    """What a tool prints. Its exit code says whether it found something, or that it failed: each tool its own way."""
    command = [str(BIN / name), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)  # noqa: S603 - of our own environment
    if done.returncode < 0 or (done.returncode and done.stderr.strip() and not done.stdout.strip()):
        raise ScannerFailed(f"{name} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ScannerFailed(f"{name} printed no JSON: {text[:2000]!r}") from None


def hadolint(paths: list[str]) -> Iterator[Finding]:
    """Dockerfiles."""
    printed = _run("hadolint", "--no-fail", "--format", "json", *paths)
    for found in _parsed("hadolint", printed):
        yield Finding("hadolint", found["file"], found["line"], found["code"], found["message"])


def checkov(paths: list[str]) -> Iterator[Finding]:
    """Dockerfiles, workflows and what kustomize makes of the manifests, by its rules for security."""
    frameworks = ["dockerfile", "github_actions", "kubernetes"]
    kustomizations = files.kustomizations(paths)
    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for number, path in enumerate(kustomizations):
            file = Path(folder).resolve() / f"{number}.yaml"
            file.write_text(_run(KUBECTL, "kustomize", str((ROOT / path).parent)), encoding="utf-8")
            made[str(file)] = path
        # An odd line in a workflow ends checkov before it has written a report: nothing printed is a failure, too.
        printed = _run(
            "checkov", "--skip-download", "--compact", "--quiet", "--output", "json", "--framework", *frameworks,
            "--file", *(path for path in paths if path not in kustomizations), *made,
        )  # fmt: skip
    reports = _parsed("checkov", printed)
    for report in reports if isinstance(reports, list) else [reports]:
        if report.get("summary", {}).get("parsing_errors"):
            raise ScannerFailed(f"checkov could not read {report['results']['parsing_errors']}")
        for found in report.get("results", {}).get("failed_checks", []):
            line, message = max(1, found["file_line_range"][0]), found["check_name"]
            path = made.get(found["file_abs_path"], "")
            if path:  # a line of what was made says nothing
                line, message = 1, f"{found['resource']}: {message}"
            yield Finding("checkov", path or found["repo_file_path"].lstrip("/"), line, found["check_id"], message)


def zizmor(paths: list[str]) -> Iterator[Finding]:
    """Workflows and Dependabot's file, for what an attacker could use."""
    printed = _run("zizmor", "--offline", "--no-progress", "--persona", "pedantic", "--format", "json", *paths)
    for found in _parsed("zizmor", printed):
        places = [place for place in found["locations"] if place["symbolic"]["kind"] == "Primary"]
        place = (places or found["locations"])[0]
        path = place["symbolic"]["key"]["Local"]
        name = os.path.relpath(ROOT / path.get("given_path", path.get("verbatim_path", "")), ROOT)
        line = place["concrete"]["location"]["start_point"]["row"] + 1
        yield Finding("zizmor", name, line, found["ident"], f"{found['desc']}: {place['symbolic']['annotation']}")


def actionlint(paths: list[str]) -> Iterator[Finding]:
    """Workflows: expressions, contexts, needs, types of inputs."""
    script = str(ROOT / "scanners" / "actionlint.cjs")
    for found in _parsed("actionlint", _run("node", script, sys.prefix, *paths)):
        yield Finding("actionlint", found["file"], found["line"], found["kind"], found["message"])


def yamllint(paths: list[str]) -> Iterator[Finding]:
    """YAML: duplicate keys, indentation, values that are not what they look like."""
    for line in _run("yamllint", "--format", "parsable", *paths).splitlines():
        found = re.fullmatch(r"(.+?):(\d+):\d+: \[\w+\] (.*?)(?: \(([\w-]+)\))?", line)
        if found is None:
            raise ScannerFailed(f"yamllint printed {line!r}")
        path, number, message, rule = found.groups()
        yield Finding("yamllint", path, int(number), rule or "syntax", message)


def shellcheck(paths: list[str]) -> Iterator[Finding]:
    """Shell scripts, and the scripts that stand in workflows."""
    scripts = [path for path in paths if path not in files.workflows(paths)]
    with tempfile.TemporaryDirectory() as folder:
        places = {}
        for number, (path, line, script) in enumerate(_steps(files.workflows(paths))):
            file = Path(folder) / f"{number}.sh"
            file.write_text("#!/bin/bash\n" + re.sub(r"\$\{\{.*?\}\}", "expression", script), encoding="utf-8")
            places[str(file)] = path, line
        for found in _parsed("shellcheck", _run("shellcheck", "--format", "json", *scripts, *places)):
            path, line = places.get(found["file"], (found["file"], 0))
            line += found["line"] - (1 if line else 0)
            yield Finding("shellcheck", path, line, f"SC{found['code']}", found["message"])


def _steps(paths: list[str]) -> Iterator[tuple[str, int, str]]:
    """Path, line and text of each `run` of workflows."""
    for path in paths:
        workflow = yaml.compose((ROOT / path).read_text(encoding="utf-8"), yaml.SafeLoader)
        yield from ((path, node.start_mark.line + 1, node.value) for node in _runs(workflow))


def _runs(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "run" and isinstance(value, yaml.ScalarNode):
                yield value
            else:
                yield from _runs(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _runs(value)


SCHEMAS = {
    "vendor.github-workflows": (".github/workflows/*",),
    "custom.github-workflows-require-timeout": (".github/workflows/*",),
    "vendor.dependabot": (".github/dependabot.yml",),
    "vendor.github-issue-forms": (".github/ISSUE_TEMPLATE/[!c]*",),
    "vendor.github-issue-config": (".github/ISSUE_TEMPLATE/config.yml",),
}


def schemas(paths: list[str]) -> Iterator[Finding]:
    """GitHub's files by their published JSON schemas, which check-jsonschema carries; every job has a time limit."""
    for schema, patterns in SCHEMAS.items():
        chosen = files.matching(paths, *patterns)
        if not chosen:
            raise ScannerFailed(f"there is no {' '.join(patterns)}")
        report = _parsed("schemas", _run("check-jsonschema", "--builtin-schema", schema, "-o", "json", *chosen))
        for error in report.get("parse_errors", []):
            raise ScannerFailed(f"check-jsonschema could not read {error}")
        for found in report["errors"]:
            yield Finding("schemas", found["filename"], 1, schema, f"{found['path']}: {found['message'][:300]}")


SCANNERS = (
    Scanner("hadolint", files.dockerfiles, hadolint),
    Scanner("shellcheck", lambda names: files.shell_scripts(names) + files.workflows(names), shellcheck),
    Scanner("yamllint", files.yamls, yamllint),
    Scanner("schemas", lambda names: files.matching(names, ".github/*.yml", ".github/*/*.yml"), schemas),
    Scanner("actionlint", files.workflows, actionlint),
    Scanner("zizmor", lambda names: files.workflows(names) + files.matching(names, ".github/dependabot.yml"), zizmor),
    Scanner("licences", licences.locks, licences.findings),
    Scanner(
        "checkov",
        lambda names: files.dockerfiles(names) + files.workflows(names) + files.kustomizations(names),
        checkov,
        slow=True,
    ),
)

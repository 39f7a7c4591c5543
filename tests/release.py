"""A release is one tag: what has to agree on its version."""

import re
import subprocess
import tomllib
from pathlib import Path

VERSION = r"\d+\.\d+\.\d+(?:rc\d+)?"


def version_of(root: Path) -> str:
    """The version that pyproject.toml has."""
    version: str = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return version


def released(root: Path) -> list[str]:
    """The releases that the changelog has, the newest first; `Unreleased` is none."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.findall(rf"^## \[?({VERSION})\]? - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE)


def image_versions(root: Path) -> dict[str, str]:
    """The version that each image is labelled with where the build is not told another."""
    found = {}
    for path in sorted((root / "docker").glob("*/Dockerfile")):
        text = path.read_text(encoding="utf-8")
        label = re.search(r'org\.opencontainers\.image\.version="?([^"\s\\]+)', text)
        value = label[1] if label else "no version"
        if argument := re.fullmatch(r"\$\{?(\w+)\}?", value):
            default = re.search(rf'^ARG {argument[1]}="?([^"\s]+)', text, re.MULTILINE)
            value = default[1] if default else "no default"
        found[str(path.relative_to(root))] = value
    return found


def tags_of(root: Path) -> list[str]:
    """The tags of the commit that is checked out."""
    command = ["git", "-C", str(root), "tag", "--points-at", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def disagreements(root: Path, tags: list[str]) -> list[str]:
    """What does not agree on the version of a checkout whose commit has these tags."""
    version, releases, found = version_of(root), released(root), []
    if not re.fullmatch(VERSION, version):
        found.append(f"pyproject.toml: {version} is no version such as 0.2.0 or 0.2.0rc1")
    if releases and releases[0] != version:
        found.append(f"CHANGELOG.md: its newest release is {releases[0]}, pyproject.toml has {version}")
    for path, labelled in image_versions(root).items():
        if labelled != version:
            found.append(f"{path}: labelled {labelled}, pyproject.toml has {version}")
    for tag in (tag for tag in tags if tag.startswith("v")):
        if tag != f"v{version}":
            found.append(f"tag {tag}: pyproject.toml has {version}")
        if version not in releases:
            found.append(f"tag {tag}: CHANGELOG.md has no heading `## {version} - YYYY-MM-DD`")
    return found

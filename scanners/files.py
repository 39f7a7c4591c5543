"""Which files each scanner reads."""

import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import yaml

from scanners.findings import PLANTED, ROOT

SHEBANG = re.compile(rb"#!\s*/(usr/)?bin/(env )?(ba|da)?sh\b")


def tracked() -> list[str]:
    """Files of the checkout that git does not ignore, new ones included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - git
    names = done.stdout.splitlines()
    return sorted({name for name in names if (ROOT / name).is_file()})


def matching(files: list[str], *patterns: str) -> list[str]:
    """Those that match one of the patterns, at the root or among the planted files."""
    return [name for name in files if any(fnmatch(name.removeprefix(PLANTED), pattern) for pattern in patterns)]


def dockerfiles(files: list[str]) -> list[str]:
    """Of the images."""
    return matching(files, "docker/*/Dockerfile")


def workflows(files: list[str]) -> list[str]:
    """Of GitHub Actions."""
    return matching(files, ".github/workflows/*.yaml", ".github/workflows/*.yml")


def kustomizations(files: list[str]) -> list[str]:
    """Of Kubernetes, those that no other one includes: the overlays, and components that are not in them."""
    found = {(ROOT / name).parent: name for name in matching(files, "k8s/*/kustomization.yaml")}
    included = {folder for each in found for folder in _included(each)}
    return [name for folder, name in found.items() if folder not in included]


def _included(folder: Path) -> Iterator[Path]:
    content = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    for name in [*content.get("resources", []), *content.get("components", [])]:
        yield (folder / name).resolve()


def yamls(files: list[str]) -> list[str]:
    """All YAML."""
    return matching(files, "*.yaml", "*.yml")


def shell_scripts(files: list[str]) -> list[str]:
    """By name or by their first line."""
    return [name for name in files if name.endswith(".sh") or SHEBANG.match(_beginning(name))]


def _beginning(name: str) -> bytes:
    with (ROOT / name).open("rb") as file:
        return file.read(40)

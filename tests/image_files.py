"""What the Dockerfiles copy from the checkout, read from them and from .dockerignore."""

import re
import shutil
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tests.commands import ROOT

NAMES = ("webapp", "jobs", "jobs-gpu")


@dataclass(frozen=True)
class Dockerfile:
    """The Dockerfile of one image."""

    name: str

    @property
    def path(self) -> Path:
        """The file."""
        return ROOT / "docker" / self.name / "Dockerfile"

    @property
    def instructions(self) -> list[tuple[str, str]]:
        """(instruction, arguments), comments left out and continued lines joined."""
        text = re.sub(r"^\s*#.*\n", "", self.path.read_text(), flags=re.MULTILINE)
        lines = re.sub(r"\\\n\s*", " ", text).splitlines()
        return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]

    def arguments(self, instruction: str) -> list[str]:
        """The arguments of every such instruction."""
        return [rest for word, rest in self.instructions if word == instruction]

    @property
    def copied(self) -> list[tuple[str, str]]:
        """(path in the checkout, the folder or file in the image that it becomes)"""
        copied, folder = [], "/"
        for word, rest in self.instructions:
            if word == "WORKDIR":
                folder = rest
            if word == "COPY" and not rest.startswith("--from"):
                *sources, target = rest.split()
                base = f"{folder}/{target.removeprefix('./')}" if not target.startswith("/") else target
                copied += [
                    (s, base.removesuffix("/") + f"/{Path(s).name}" if target[-1] == "/" else base) for s in sources
                ]
        return copied


def is_sent(name: str) -> bool:
    """Whether .dockerignore lets a file of the checkout through: the last line that matches it or a folder of it."""
    sent, place = True, Path(name)
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if not line or line.startswith("#"):
            continue
        of = [place.as_posix(), *(parent.as_posix() for parent in place.parents if parent != Path("."))]
        if any(fnmatchcase(each, pattern) or fnmatchcase(f"/{each}", pattern.replace("**", "*")) for each in of):
            sent = line.startswith("!")
    return sent


def files_of(source: str) -> list[Path]:
    """The files that a COPY of `source` takes."""
    path = ROOT / source
    found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return [p for p in found if is_sent(p.relative_to(ROOT).as_posix())]


def lay_out(name: str, root: Path) -> Path:
    """Copy what an image's /app is made of to `root`/app, and return that."""
    for source, target in Dockerfile(name).copied:
        if target.startswith("/app/") and source != "pyproject.toml":
            for file in files_of(source):
                place = (
                    root
                    / target.removeprefix("/")
                    / (file.relative_to(ROOT / source) if (ROOT / source).is_dir() else "")
                )
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, place)
    return root / "app"

"""Licences of the packages that a release is made of: only such as let us ship it."""

import re
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, distributions
from pathlib import Path

from scanners.findings import PLANTED, ROOT, Finding

ALLOWED = re.compile(
    r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Unlicense|Zlib|CC0|Artistic"
    r"|MPL|Mozilla|LGPL|Lesser General"  # used as they are, as libraries of their own
)
PLANTED_LICENCE = "GPL-3.0-only"


def locks(files: list[str]) -> list[str]:
    """The locks whose packages are shipped and installed here."""
    return [name for name in files if name == "requirements.txt"]


def allowed(licence: str) -> bool:
    """Whether each part joined by AND offers an allowed choice. Classifiers, joined by `;`, are choices."""
    parts = re.split(r"\bAND\b", licence.replace("(", " ").replace(")", " "))
    return all(any(ALLOWED.search(choice) for choice in re.split(r"\bOR\b|;", part)) for part in parts)


def findings(paths: list[str]) -> Iterator[Finding]:
    """What the metadata of the installed packages says, with a planted package among them."""
    lines = {
        _normal(name): (path, number)
        for path in paths
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
        if (name := line.split("==")[0]) != line
    }
    site_packages = [str(path) for path in (ROOT / ".venv").glob("lib/python*/site-packages")]
    with tempfile.TemporaryDirectory() as folder:
        planted = Path(folder) / "planted_package-1.0.dist-info"
        planted.mkdir()
        (planted / "METADATA").write_text(
            f"Metadata-Version: 2.4\nName: planted-package\nVersion: 1.0\nLicense-Expression: {PLANTED_LICENCE}\n"
        )
        packages = {_normal(d.metadata["Name"]): d.metadata for d in distributions(path=[folder, *site_packages])}
    if not packages.keys() & lines.keys():
        raise OSError("nothing of the lock is installed in .venv")
    for name, metadata in packages.items():
        path, line = (f"{PLANTED}package", 1) if name == "planted-package" else lines.get(name, ("", 0))
        if path and not allowed(licence_of(metadata)):
            yield Finding("licences", path, line, licence_of(metadata), f"{metadata['Name']} {metadata['Version']}")


def licence_of(metadata: PackageMetadata) -> str:
    """Its SPDX expression; else its classifiers; else the first line of what it wrote; else UNKNOWN."""
    fields = metadata.json
    classifiers = [c.split(" :: ")[2:] for c in fields.get("classifier", []) if c.startswith("License ::")]
    written = str(fields.get("license") or "").strip().split("\n")[0]
    return str(fields.get("license_expression") or "; ".join(c[-1] for c in classifiers if c) or written or "UNKNOWN")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

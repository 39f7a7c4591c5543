"""Licences of the packages that a release is made of: only such as let us ship it."""

import re
import tempfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from scanners.findings import PLANTED, ROOT, Finding

ALLOWED = re.compile(
    r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Unlicense|Zlib|CC0|Artistic"
    r"|MPL|Mozilla|LGPL|Lesser General"  # used as they are, as libraries of their own
)
PLANTED_LICENCE = "GPL-3.0-only"
# How the texts of licences begin to say what they grant, for packages whose metadata names none.
TEXTS = {
    "Permission is hereby granted, free of charge, to any person obtaining a copy": "MIT",
    "Redistribution and use in source and binary forms": "BSD",
    "Apache License": "Apache-2.0",
    "GNU GENERAL PUBLIC LICENSE": "GPL",
    "GNU AFFERO GENERAL PUBLIC LICENSE": "AGPL",
}


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
        licences = {_normal(d.name): (licence_of(d), d) for d in distributions(path=[folder, *site_packages])}
    if not licences.keys() & lines.keys():
        raise OSError("nothing of the lock is installed in .venv")
    for name, (licence, package) in licences.items():
        path, line = (f"{PLANTED}package", 1) if name == "planted-package" else lines.get(name, ("", 0))
        if path and not allowed(licence):
            yield Finding("licences", path, line, licence, f"{package.name} {package.version}")


def licence_of(package: Distribution) -> str:
    """Its SPDX expression; else its classifiers; else what it wrote; else what its licence files say."""
    fields = package.metadata.json
    classifiers = [c.split(" :: ")[2:] for c in fields.get("classifier", []) if c.startswith("License ::")]
    written = str(fields.get("license") or "").strip().split("\n")[0]
    said = fields.get("license_expression") or "; ".join(c[-1] for c in classifiers if c) or written
    return str(said or " AND ".join(_granted(package, fields.get("license_file", []))) or "UNKNOWN")


def _granted(package: Distribution, names: str | list[str]) -> set[str]:
    files = [names] if isinstance(names, str) else names
    texts = [package.read_text(f"licenses/{name}") or package.read_text(name) or "" for name in files]
    return {licence for text in texts for begins, licence in TEXTS.items() if begins in " ".join(text.split())}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

"""Licences of the packages that a release is made of: only such as let us ship it."""

import re
import tempfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from scanners import files
from scanners.findings import ROOT, Finding

ALLOWED = re.compile(
    r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Unlicense|Zlib|CC0|Artistic"
    r"|MPL|Mozilla|LGPL|Lesser General"  # used as they are, as libraries of their own
)
PLANTED_LICENCES = {"planted-package": "GPL-3.0-only", "planted-provider": "AGPL-3.0-only"}
"""Of the packages that the locks in `scanners/planted` name: one a lock."""
LOCKS = ("requirements.txt", "requirements-kubernetes.txt")
"""What the jobs image installs; the web app's lock is a part of it."""
INSTALLED = (".venv/lib/python*/site-packages", ".venv-scan/shipped")
"""Where their packages are here; scanners/install.sh makes the second, of what `make install` leaves out."""
# How the texts of licences begin to say what they grant, for packages whose metadata names none.
TEXTS = {
    "Permission is hereby granted, free of charge, to any person obtaining a copy": "MIT",
    "Redistribution and use in source and binary forms": "BSD",
    "Apache License": "Apache-2.0",
    "GNU GENERAL PUBLIC LICENSE": "GPL",
    "GNU AFFERO GENERAL PUBLIC LICENSE": "AGPL",
}


def locks(names: list[str]) -> list[str]:
    """The locks whose packages are shipped and installed here, and the planted ones."""
    return files.matching(names, *LOCKS)


def allowed(licence: str) -> bool:
    """Whether each part joined by AND offers an allowed choice. Classifiers, joined by `;`, are choices."""
    parts = re.split(r"\bAND\b", licence.replace("(", " ").replace(")", " "))
    return all(any(ALLOWED.search(choice) for choice in re.split(r"\bOR\b|;", part)) for part in parts)


def findings(paths: list[str]) -> Iterator[Finding]:
    """What the metadata of the locks' packages says, planted packages among them. Raises OSError if one is missing."""
    folders = [str(path) for pattern in INSTALLED for path in ROOT.glob(pattern)]
    with tempfile.TemporaryDirectory() as folder:
        _plant(Path(folder))
        licences = {_normal(d.name): (licence_of(d), d) for d in distributions(path=[*folders, folder])}
    for path in paths:
        lines = enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
        pins = [(_normal(line.split("==")[0]), line, number) for number, line in lines if re.match(r"\w\S*==", line)]
        # One with a marker may be for other machines only.
        if missing := sorted(name for name, line, _ in pins if name not in licences and ";" not in line):
            raise OSError(f"packages of {path} are not installed here: {', '.join(missing)}")
        for name, _, number in pins:
            if name in licences and not allowed(licences[name][0]):
                licence, package = licences[name]
                yield Finding("licences", path, number, licence, f"{package.name} {package.version}")


def _plant(folder: Path) -> None:
    for name, licence in PLANTED_LICENCES.items():
        planted = folder / f"{name.replace('-', '_')}-1.0.dist-info"
        planted.mkdir()
        (planted / "METADATA").write_text(
            f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nLicense-Expression: {licence}\n"
        )


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

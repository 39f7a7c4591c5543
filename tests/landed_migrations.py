"""Whether each migration still has the text that it landed with: `sql/migrations/landed.sha256` holds the hashes.

`make check` runs this file. A migration is applied once, so a change of its text reaches no database that has it.
"""

import hashlib
import sys
from pathlib import Path

MIGRATIONS = Path(__file__).resolve().parent.parent / "sql" / "migrations"


def differences(folder: Path) -> list[str]:
    """What differs from the list, a sentence each."""
    landed, now = _landed(folder), _now(folder)
    hint = "is new: `python -m tests.landed_migrations --note` adds it, once its text is final"
    return [
        *(f"{n} has landed and was changed: put its text back" for n in now if landed.get(n, now[n]) != now[n]),
        *(f"{n} has landed and is gone: put it back" for n in landed if n not in now),
        *(f"{n} {hint}" for n in now if n not in landed),
    ]


def note(folder: Path) -> None:
    """Add what is new; what has landed keeps its hash."""
    hashes = _now(folder) | _landed(folder)
    (folder / "landed.sha256").write_text("".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes)))


def _landed(folder: Path) -> dict[str, str]:
    lines = (folder / "landed.sha256").read_text().splitlines() if (folder / "landed.sha256").exists() else []
    return {name: sha256 for sha256, name in (line.split("  ") for line in lines)}


def _now(folder: Path) -> dict[str, str]:
    paths = sorted(folder.glob("*/*.sql"))
    return {f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


if __name__ == "__main__":
    if sys.argv[1:] == ["--note"]:
        note(MIGRATIONS)
    found = differences(MIGRATIONS)
    print("\n".join(f"sql/migrations/{each}" for each in found), end="\n" if found else "")
    sys.exit(bool(found))

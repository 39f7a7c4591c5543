"""The local platform's own list of what it started: `<state>/platform.json`."""

import json
from pathlib import Path
from typing import Any

import psutil


def running(state: Path) -> dict[str, Any]:
    """Each process of the local platform by name, with port, URL, process id and whether it runs."""
    try:
        listed = json.loads((state / "platform.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {name: {**entry, "running": _runs(entry)} for name, entry in listed.items()}


def _runs(entry: dict[str, Any]) -> bool:
    try:
        process = psutil.Process(int(entry["pid"]))
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False

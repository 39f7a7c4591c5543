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
        # A recycled number is no running program. State without a start time is of a version that did not note it.
        is_same = abs(process.create_time() - entry.get("started", process.create_time())) < 1
        return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False

"""What may become of an input."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Outcome:
    """accept: every row counts. quarantine: rows are set aside by reason. skip, refuse: the night ends with an exit
    code and a message that has these words. publish: the whole night ends with a live batch."""

    verdict: Literal["accept", "quarantine", "skip", "refuse", "publish"]
    accepted: int = 200
    merged: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    excluded: dict[str, int] = field(default_factory=dict)
    code: int = 0
    words: tuple[str, ...] = ()


def accept(accepted: int = 200, merged: int = 0, **excluded: int) -> Outcome:
    return Outcome("accept", accepted, merged, excluded=excluded)


def quarantine(accepted: int = 200, **reasons: int) -> Outcome:
    return Outcome("quarantine", accepted, quarantined=reasons)


def refuse(code: int, *words: str) -> Outcome:
    return Outcome("refuse", code=code, words=words)


def skip(*words: str) -> Outcome:
    return Outcome("skip", code=75, words=words)


def publish(accepted: int = 200, merged: int = 0, **excluded: int) -> Outcome:
    return Outcome("publish", accepted, merged, excluded=excluded)

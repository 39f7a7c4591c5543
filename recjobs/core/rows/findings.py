"""Findings: faults of a night's input, in rows or as a whole, and whether they stop the night."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from recjobs.core.rows.reason_codes import REASONS
from recjobs.errors import DataRefused, InputLate

_STATES = {"refuse": "refused", "skip": "skipped", "warn": "warned"}


@dataclass(frozen=True)
class Finding:
    """One broken rule of the data.

    reason: a code of `recjobs.core.rows.reason_codes`, or the name of a rule of the catalog's `where`.
    example: the source and row of the first such row; of a whole night, the sentence that says what is wrong.
    """

    reason: str
    action: str
    n_rows: int
    example: str | None = None

    @property
    def column_name(self) -> str:
        """The column at fault, or ""."""
        return REASONS[self.reason].column if self.reason in REASONS else ""

    def to_json(self) -> dict[str, Any]:
        """A row of the view findings, less its batch."""
        return {
            "reason": self.reason,
            "action": self.action,
            "column_name": self.column_name,
            "n_rows": self.n_rows,
            "example": self.example,
        }


def of_night(reason: str, action: str, n_rows: int, sentence: str) -> Finding:
    """A finding about the whole night; action as in the catalog: refuse, skip or warn."""
    return Finding(reason, _STATES[action], n_rows, f"{sentence}. {REASONS[reason].how}")


def overridden(findings: Sequence[Finding], force: str | None) -> list[Finding]:
    """The findings of a forced night: those that would stop it become warnings with the operator's reason."""
    if force is None:
        return list(findings)
    return [
        replace(f, action="warned", example=f"{f.example} (forced: {force})")
        if f.action in ("refused", "skipped")
        else f
        for f in findings
    ]


def raise_blocking(catalog: str, findings: Sequence[Finding]) -> None:
    """Raise DataRefused if any finding refuses the night, else InputLate if any skips it."""
    for action, error in (("refused", DataRefused), ("skipped", InputLate)):
        if reasons := "; ".join(f"{f.reason}: {f.example}" for f in findings if f.action == action):
            raise error(f"catalog {catalog}: {reasons}")

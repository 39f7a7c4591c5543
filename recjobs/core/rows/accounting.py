"""The account of a night's rows: read = excluded + accepted + merged + quarantined, exactly, and by reason."""

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows.findings import Finding
from recjobs.core.rows.reason_codes import QUARANTINE

SHOWN = 1000
"""Quarantined rows kept for each reason."""


@dataclass
class Tally:
    """Counts by reason, with the first place of each, and the first quarantined rows of each."""

    excluded: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    shown: list[pa.Table] = field(default_factory=list)

    def exclude(self, reason: str, n: int, place: str | None = None) -> None:
        """Count rows that are no interactions."""
        self.excluded[reason] = self.excluded.get(reason, 0) + n
        if place:
            self.places.setdefault(reason, place)

    def quarantine(self, bad: pa.Table) -> None:
        """Count rows that were set aside: source, row and reason of each."""
        for reason in pc.unique(bad["reason"]).to_pylist():
            rows = bad.filter(pc.equal(bad["reason"], reason))
            before = self.quarantined.get(reason, 0)
            self.quarantined[reason] = before + rows.num_rows
            first = rows.slice(0, 1).to_pylist()[0]
            self.places.setdefault(reason, f"{first['source']} row {first['row']}")
            if before < SHOWN:
                self.shown.append(rows.slice(0, SHOWN - before))

    def join(self, other: "Tally") -> None:
        """Add the account of further rows."""
        for reason, n in other.excluded.items():
            self.exclude(reason, n, other.places.get(reason))
        for reason in other.quarantined:
            self.places.setdefault(reason, other.places[reason])
        room = {reason: SHOWN - self.quarantined.get(reason, 0) for reason in other.quarantined}
        for rows in other.shown:
            reason = rows["reason"][0].as_py()
            if room[reason] > 0:
                self.shown.append(rows.slice(0, room[reason]))
            room[reason] -= rows.num_rows
        for reason, n in other.quarantined.items():
            self.quarantined[reason] = self.quarantined.get(reason, 0) + n

    def findings(self, merged: int, summed: int = 0) -> list[Finding]:
        """All findings about rows, in the order of the catalog's rules and of the reason codes. merged: duplicates;
        summed: rows whose weight was added to an equal one's."""
        findings = [Finding(name, "excluded", n, self.places.get(name)) for name, n in self.excluded.items() if n]
        if merged:
            findings.append(Finding("duplicate", "merged", merged))
        if summed:
            findings.append(Finding("repeat", "merged", summed))
        return findings + [
            Finding(code, "quarantined", self.quarantined[code], self.places[code])
            for code in QUARANTINE
            if code in self.quarantined
        ]

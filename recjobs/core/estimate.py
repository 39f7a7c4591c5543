"""What a night costs by what it works on: memory, disk and time of each step, before it begins.

The shape of each cost is the table's, its level that of the catalog's last nights where there are any.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from statistics import median

CHUNK = 20_000
"""The most users that an evaluation asks, and whose lists are made and checked at a time."""

FIRST_PAIRS = 4_000_000
"""`als.FIRST_PAIRS`: a fit of more begins with one of about so many. (Importing that takes a second.)"""

Terms = Mapping[str, float]
"""A sum of terms: what one of each counts. `one` is what a step costs of nothing."""


@dataclass(frozen=True)
class Size:
    """What a night works on. rows: those read; interactions: those accepted, of an increment with the earlier ones;
    stored, factors: length of a list and of a vector."""

    rows: int
    interactions: int
    users: int
    items: int
    stored: int
    factors: int

    @property
    def places(self) -> int:
        """Places of all lists together."""
        return self.users * self.stored

    def terms(self) -> dict[str, float]:
        """The terms that costs are sums of."""
        return {
            "one": 1,
            "rows": self.rows,
            "interactions": self.interactions,
            "vectors": (self.users + self.items) * self.factors,
            "solved": self.interactions * self.factors,
            "begun": min(self.interactions, FIRST_PAIRS) * self.factors,
            "asked": min(self.users, CHUNK),
            "judged": min(self.users, CHUNK) * self.items,
            "chunk": min(self.users, CHUNK) * self.stored,
            "scored": self.users * self.items,
            "places": self.places,
            "items": self.items,
        }


@dataclass(frozen=True)
class Cost:
    """Of one step: seconds, the most memory its process has, and the bytes it leaves in the artifact store. In a past
    night None is what was not measured."""

    seconds: float | None = None
    peak_bytes: float | None = None
    disk_bytes: float | None = None


@dataclass(frozen=True)
class Past:
    """An earlier night: what it worked on, and what it cost."""

    batch_id: str
    size: Size
    steps: Mapping[str, Cost]
    database_bytes: float | None = None


@dataclass(frozen=True)
class Rate:
    """The terms of a step's costs, as in `Cost`."""

    seconds: Terms
    peak_bytes: Terms
    disk_bytes: Terms


RATES = {
    "extract": Rate({"one": 0.1, "rows": 2.45e-7}, {"one": 2.86e8, "rows": 10.6}, {"one": 4.3e5, "rows": 6.39}),
    "validate": Rate(
        {"one": 0.1, "rows": 3.7e-7}, {"one": 3.01e8, "rows": 45.8}, {"one": 1.77e5, "interactions": 8.70}
    ),
    "split": Rate(
        {"one": 0.05, "interactions": 2.5e-7},
        {"one": 2.77e8, "interactions": 70.3},
        {"one": 1.62e5, "interactions": 8.79},
    ),
    "train": Rate(
        {"one": 0.3, "begun": 9.1e-9, "solved": 1.49e-8},
        {"one": 2.57e8, "interactions": 78.6, "asked": 3350},
        {"vectors": 4.23},
    ),
    "evaluate": Rate(
        {"one": 0.6, "interactions": 1.02e-6, "judged": 6.8e-8},
        {"one": 2.48e8, "interactions": 117, "asked": 19900},
        {"one": 2e4, "asked": 100},
    ),
    "gate": Rate({"one": 1.2}, {"one": 2.39e8, "interactions": 31, "asked": 23600}, {"one": 2.6e3}),
    "refit": Rate(
        {"one": 4.6, "solved": 4.1e-8},
        {"one": 3.12e8, "interactions": 121, "asked": 16200},
        {"vectors": 4.23, "items": 1110},
    ),
    "score": Rate(
        {"one": 0.5, "scored": 4.6e-8},
        {"one": 3.76e8, "interactions": 87, "asked": 20700},
        {"one": 5.2e5, "interactions": 2.0, "places": 7.36},
    ),
    "inspect": Rate(
        {"one": 0.2, "interactions": 1.3e-6},
        {"one": 3.25e8, "interactions": 76, "asked": 30600},
        {"one": 5.2e3, "items": 0.78},
    ),
    "publish": Rate(
        {"one": 0.5, "places": 1.25e-6}, {"one": 3.69e8, "interactions": 83.9, "asked": 23100}, {"one": 3.7e2}
    ),
    "report": Rate(
        {"one": 0.9, "interactions": 4e-7}, {"one": 3.6e8, "interactions": 90.2, "asked": 21500}, {"one": 9.8e4}
    ),
}
"""Of whole nights by `recjobs night` (one process) on two cores: 64 factors, blend 0.3, 200 neighbours, lists of 100.
Memory is of 0.2, 0.7, 2 and 20 million interactions (publish and report: up to 2), before the evaluation scored users
once: each step within 21%, those that need the most within 6%. Disk is of 0.2 and 2 million. Seconds are of 2 and 20
million, those of the evaluation by what its CPU seconds fell to, those of train by what they fell to at 20 million. The
evaluation's memory at 20 million was measured again when it began to do two things at a time."""

DATABASE: Terms = {"one": 2e6, "interactions": 4.5, "places": 32.4}
"""What a batch takes in Postgres, indexes and compressed values included, of the same nights."""

PROBE_SECONDS = 0.35
"""What `recjobs.adapters.machine.probe` takes on that machine."""


def value(terms: Terms, size: Size) -> float:
    """The value of a sum of terms."""
    of = size.terms()
    return sum(rate * of[name] for name, rate in terms.items())


def steps(size: Size, past: Iterable[Past] = (), speed: float = 1.0) -> dict[str, Cost]:
    """What each step will cost.

    speed: this machine's time for the probe, in that of the table's machine; for steps that no past night has measured.
    """
    nights = list(past)
    return {step: Cost(**{f.name: _cost(step, f.name, size, nights, speed) for f in fields(Cost)}) for step in RATES}


def _cost(step: str, name: str, size: Size, nights: list[Past], speed: float) -> float:
    terms: Terms = getattr(RATES[step], name)
    measured = ((getattr(night.steps[step], name), value(terms, night.size)) for night in nights if step in night.steps)
    level = _level(measured)
    if level is None:
        level = speed if name == "seconds" else 1.0
    return level * value(terms, size)


def in_database(size: Size, past: Iterable[Past] = ()) -> float:
    """The bytes that a batch will take in Postgres."""
    level = _level((night.database_bytes, value(DATABASE, night.size)) for night in past)
    return (1.0 if level is None else level) * value(DATABASE, size)


def _level(measured: Iterable[tuple[float | None, float]]) -> float | None:
    """How many times the table's value was measured, in the middle; None if it never was."""
    ratios = [cost / expected for cost, expected in measured if cost and expected]
    return median(ratios) if ratios else None

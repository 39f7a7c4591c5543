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
    "extract": Rate({"one": 0.0215, "rows": 7.97e-08}, {"one": 2.3e08, "rows": 15.5}, {"rows": 5.66}),
    "validate": Rate(
        {"one": 0.0505, "rows": 2.14e-07}, {"one": 2.39e08, "rows": 73}, {"one": 7.07e03, "interactions": 7.78}
    ),
    "split": Rate(
        {"one": 0.00807, "interactions": 9.99e-08}, {"one": 2.16e08, "interactions": 61.8}, {"interactions": 7.61}
    ),
    "train": Rate(
        {"one": 0.111, "begun": 5.5e-09, "solved": 7.4e-09},
        {"one": 2e08, "interactions": 61.4, "asked": 4.04e03},
        {"vectors": 4.23},
    ),
    "evaluate": Rate(
        {"one": 1.0, "interactions": 1.2e-07, "judged": 2.6e-08},
        {"one": 3.03e08, "interactions": 106, "asked": 8.74e03},
        {"asked": 107},
    ),
    "gate": Rate({"one": 0.141}, {"one": 2.85e08, "interactions": 4.23, "asked": 3.78e03}, {"one": 2.61e03}),
    "refit": Rate(
        {"one": 2.67, "solved": 8.54e-09},
        {"one": 4.53e08, "interactions": 73.9, "asked": 1.25e04},
        {"vectors": 5.88, "items": 870},
    ),
    "score": Rate(
        {"one": 0.547, "scored": 1.07e-08},
        {"one": 5.33e08, "interactions": 101, "asked": 1.4e04},
        {"one": 7.26e05, "interactions": 2.98, "places": 7.77},
    ),
    "inspect": Rate(
        {"one": 0.132, "interactions": 2.81e-07},
        {"one": 3.46e08, "interactions": 46.8, "asked": 3.51e04},
        {"one": 7.26e03, "items": 0.788},
    ),
    "publish": Rate(
        {"one": 0.336, "places": 5.09e-07}, {"one": 5.01e08, "interactions": 20.7, "asked": 1.33e04}, {"one": 375}
    ),
    "report": Rate(
        {"one": 0.648, "interactions": 1.75e-07},
        {"one": 4.91e08, "interactions": 61.9, "asked": 4.72e03},
        {"one": 1e05},
    ),
}
"""Of whole nights by `recjobs night` (one process) on two cores, of 0.2, 2 and 20 million interactions: 64 factors,
blend 0.3, 200 neighbours, lists of 100. Fitted by `make bench-plan`, but for the evaluation's seconds of an
interaction, which those nights cannot tell from those of a score: they are an estimate."""

DATABASE: Terms = {"one": 1.51e06, "interactions": 7.41, "places": 32.2}
"""What a batch takes in Postgres, indexes and compressed values included, of the same nights."""

PROBE_SECONDS = 0.208
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

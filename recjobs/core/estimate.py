"""What a night costs by what it works on: memory, disk and time of each step, before it begins.

The shape of each cost is the table's, its level that of the catalog's last nights where there are any.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from statistics import median

CHUNK = 20_000
"""The most users that an evaluation asks, and whose lists are made and checked at a time."""

AHEAD = 1 << 22
"""Rows, about, of the batches that are read, changed and written at a time, and of what allocators keep of them."""

LEAST, MOST, USUAL = 1 << 20, 1 << 24, 16
"""Those of `user_ranges`, by which rows are gathered; two ranges at a time."""

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
            "read_ahead": min(self.rows, AHEAD),
            "sorted": min(self.rows, 2 * max(LEAST, min(MOST, self.rows // USUAL))),
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
    "extract": Rate(
        {"one": 0.0244, "rows": 7.64e-08}, {"one": 1.98e08, "rows": 3.64, "read_ahead": 56.3}, {"rows": 5.68}
    ),
    "validate": Rate(
        {"one": 0.0511, "rows": 2.12e-07},
        {"one": 1.83e08, "rows": 36.2, "sorted": 120},
        {"one": 9.38e03, "interactions": 7.77},
    ),
    "split": Rate(
        {"one": 0.0112, "interactions": 9.01e-08}, {"one": 2.21e08, "read_ahead": 51.3}, {"interactions": 7.62}
    ),
    "train": Rate(
        {"one": 0.122, "begun": 5.63e-09, "solved": 7.66e-09},
        {"one": 2.02e08, "interactions": 39.9, "asked": 6.09e03},
        {"vectors": 4.23},
    ),
    "evaluate": Rate(
        {"one": 0.984, "interactions": 9.03e-08, "judged": 2.44e-08},
        {"one": 2.93e08, "interactions": 52.2, "asked": 1.5e04},
        {"asked": 110},
    ),
    "gate": Rate({"one": 0.141}, {"one": 2.86e08, "asked": 3.81e03, "read_ahead": 9.09}, {"one": 2.61e03}),
    "refit": Rate(
        {"one": 2.74, "solved": 9.27e-09},
        {"one": 4.43e08, "interactions": 22.3, "asked": 1.88e04},
        {"vectors": 5.77, "items": 891},
    ),
    "score": Rate(
        {"one": 0.52, "scored": 1.06e-08},
        {"one": 5.37e08, "interactions": 42.5, "asked": 2.12e04},
        {"one": 6.51e05, "interactions": 3.12, "places": 7.88},
    ),
    "inspect": Rate(
        {"one": 0.11, "interactions": 3.17e-07},
        {"one": 3.11e08, "interactions": 22.7, "asked": 4.9e04},
        {"one": 7.25e03, "items": 0.796},
    ),
    "publish": Rate({"one": 0.279, "places": 5.17e-07}, {"one": 5.38e08, "read_ahead": 143}, {"one": 375}),
    "report": Rate({"one": 0.745, "interactions": 4.52e-08}, {"one": 5.12e08, "read_ahead": 90.5}, {"one": 9.98e04}),
}
"""Of whole nights by `recjobs night` (one process) on two cores, of 0.2, 2, 6 and 20 million interactions: 64 factors,
blend 0.3, 200 neighbours, lists of 100. Fitted by `make bench-plan`, but for the evaluation's seconds of an
interaction, which those nights cannot tell from those of a score: they are an estimate."""

DATABASE: Terms = {"one": 1.35e06, "interactions": 7.32, "places": 32.7}
"""What a batch takes in Postgres, indexes and compressed values included, of the same nights."""

PROBE_SECONDS = 0.196
"""What `recjobs.adapters.machine.probe` takes on that machine."""


ON_SPARK: Mapping[str, Terms] = {
    "validate": {"one": 2.65e08, "interactions": 6.97, "read_ahead": 53.9},
    "train": {"one": 2.36e08, "interactions": 11.4, "vectors": 3.72, "read_ahead": 50.6},
    "evaluate": {"one": 3.61e08, "interactions": 16.1, "asked": 6.25e03, "read_ahead": 90},
    "refit": {"one": 4.75e08, "vectors": 46.2, "asked": 1.25e04},
    "score": {"one": 4.63e08, "interactions": 25.7, "asked": 1.84e03, "read_ahead": 84.3},
    "inspect": {"one": 4.23e08, "interactions": 16.8, "asked": 2.24e03, "read_ahead": 58.1},
}
"""The memory of a step's own process on Spark, where it is another one: of the same nights, on two workers."""

SPREAD = ("validate", "train", "refit", "score", "inspect")
"""The steps whose computing Spark spreads over machines."""

SPARK_TIMES, SESSION_SECONDS = 120 / 72, 13.0
"""Of these steps on two workers of one core, the seconds in those on two threads here; and of a session."""


def value(terms: Terms, size: Size) -> float:
    """The value of a sum of terms."""
    of = size.terms()
    return sum(rate * of[name] for name, rate in terms.items())


def steps(size: Size, past: Iterable[Past] = (), speed: float = 1.0, *, on_spark: bool = False) -> dict[str, Cost]:
    """What each step will cost.

    past: nights on the same engine. speed: this machine's time for the probe, in that of the table's machine; for steps
    that no past night has measured. on_spark: memory is that of the steps' own processes; seconds are those of a night
    here unless past nights say otherwise.
    """
    nights = list(past)
    rates = {step: replace(rate, peak_bytes=ON_SPARK[step]) for step, rate in RATES.items() if step in ON_SPARK}
    return {
        step: Cost(**{f.name: _cost(step, getattr(rate, f.name), f.name, size, nights, speed) for f in fields(Cost)})
        for step, rate in (RATES | (rates if on_spark else {})).items()
    }


def seconds_on_spark(costs: Mapping[str, Cost], machines: int) -> float:
    """What a night of these costs here would take on Spark with so many machines like this one, by arithmetic: cores
    add up."""
    spread = sum(costs[step].seconds or 0 for step in SPREAD if step in costs)
    return (
        sum(cost.seconds or 0 for cost in costs.values()) - spread + SESSION_SECONDS + SPARK_TIMES * spread / machines
    )


def pays_from(size: Size, machines: int, speed: float = 1.0) -> int | None:
    """From about how many interactions on a night takes less time on Spark than here; None: from none on. Users grow
    with interactions, items stay."""
    for interactions in (int(digits * 10**power) for power in range(4, 10) for digits in range(10, 100)):
        times = interactions / max(1, size.interactions)
        users, rows = max(1, round(size.users * times)), round(size.rows * times)
        costs = steps(replace(size, rows=rows, interactions=interactions, users=users), speed=speed)
        if seconds_on_spark(costs, machines) < sum(cost.seconds or 0 for cost in costs.values()):
            return interactions
    return None


def _cost(step: str, terms: Terms, name: str, size: Size, nights: list[Past], speed: float) -> float:
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

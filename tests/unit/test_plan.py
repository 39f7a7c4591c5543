"""Whether a night fits: which lack is for ever (78) and which for now (75)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from recjobs.core.estimate import Cost, Size
from recjobs.errors import BadConfiguration, DiskFull
from recjobs.night.plan import Plan, Room, lack, rest_of

GB = 10**9
PLAN = Plan(
    catalog="shop",
    as_of=datetime(2026, 1, 1, tzinfo=UTC),
    size=Size(20_000_000, 19_000_000, 138_000, 26_000, 100, 64),
    steps={"train": Cost(30.0, 6.0 * GB, 0.1 * GB), "score": Cost(170.0, 5.0 * GB, 0.9 * GB)},
    database_bytes=0.5 * GB,
    nights=(),
    speed=None,
)
ENOUGH = Room((8 * GB, "all of this machine's"), (10 * GB, 100 * GB), (2 * GB, "on Postgres' disk"))


def test_a_night_that_fits_lacks_nothing():
    assert lack(PLAN, ENOUGH) is None
    assert lack(PLAN, replace(ENOUGH, artifacts=None, database=None)) is None


@pytest.mark.parametrize(
    ("there", "kind", "said"),
    [
        ({"memory": (5 * GB, "its limit")}, BadConfiguration, "5.6 GiB of memory in train (19,000,000 interactions"),
        ({"artifacts": (GB // 2, 9 * GB // 10)}, BadConfiguration, "the disk of RECJOBS_ARTIFACTS has 858 MiB in all"),
        ({"artifacts": (GB // 2, 100 * GB)}, DiskFull, "needs about 953 MB for its files, and 476 MB are free"),
        ({"database": (GB, "here")}, DiskFull, "needs about 1017 MB in Postgres, and 953 MB are free here"),
        ({"database": (-5, "here")}, DiskFull, "and 0 MB are free here"),
    ],
)
def test_a_lack_names_the_number_that_is_too_large(there: dict[str, object], kind: type, said: str):
    found = lack(PLAN, replace(ENOUGH, **there))  # type: ignore[arg-type]
    assert type(found) is kind
    assert said in str(found)


def test_no_memory_is_asked_for_where_the_setting_is_zero():
    assert lack(PLAN, replace(ENOUGH, memory=(0, "RECJOBS_MEMORY"))) is None


def test_a_night_that_publishes_nothing_needs_no_room_in_postgres():
    assert lack(replace(PLAN, database_bytes=0.0), replace(ENOUGH, database=(0, "here"))) is None


def test_steps_that_are_done_need_nothing_any_more():
    rest = rest_of(replace(PLAN, steps=PLAN.steps | {"publish": Cost(9.0, GB, 0)}), ["train", "publish"])
    assert set(rest.steps) == {"score"}
    assert rest.peak == (5.0 * GB, "score")
    assert rest.database_bytes == 0
    assert lack(rest, replace(ENOUGH, memory=(5 * GB, "its limit"))) is None

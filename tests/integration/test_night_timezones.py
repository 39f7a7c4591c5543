"""The machine's timezone changes nothing; neither does a change of clocks."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow.parquet as pq
import pytest

from recjobs.core.rows.interactions import Interactions
from tests.integration.test_dags import run
from tests.worlds import Goods, MakeWorld, World, shop

ZONES = ["UTC", "Asia/Kolkata", "America/New_York", "Europe/Rome"]


def lists_of(world: World) -> list[dict[str, Any]]:
    return world.rows("select user_id, item_ids, scores from served_lists order by user_id")


def test_a_night_is_the_same_wherever_the_machine_stands(make_world: MakeWorld):
    found = []
    for zone in ZONES:
        world = make_world(shop())
        done = world.night("--as-of", "2025-06-20T12:30:00+05:30", TZ=zone)
        assert done.code == 0, done.err
        batch = world.rows("select batch_id, as_of, n_interactions, checksum from batches")
        accepted = world.step(batch[0]["batch_id"], "validate", "interactions.parquet").read_bytes()
        found.append((batch, accepted, lists_of(world)))
    assert found[0][0][0]["batch_id"] == "20250620T070000Z-1"
    assert all(one == found[0] for one in found[1:])


# In 2025 the clocks changed in Europe/London on 30 March 01:00 (to 02:00) and on 26 October 02:00 (to 01:00); in
# America/New_York on 9 March 02:00 (to 03:00) and on 2 November 02:00 (to 01:00).
CHANGES = {
    ("Europe/London", "spring"): (date(2025, 3, 30), datetime(2025, 3, 30, 1, tzinfo=UTC)),
    ("Europe/London", "autumn"): (date(2025, 10, 26), datetime(2025, 10, 26, 1, tzinfo=UTC)),
    ("America/New_York", "spring"): (date(2025, 3, 9), datetime(2025, 3, 9, 7, tzinfo=UTC)),
    ("America/New_York", "autumn"): (date(2025, 11, 2), datetime(2025, 11, 2, 6, tzinfo=UTC)),
}


def around(day: date) -> list[datetime]:
    """Local times without an offset, each quarter of an hour from the evening before to the noon after."""
    start = datetime.combine(day, datetime.min.time()) - timedelta(hours=3)
    return [start + timedelta(minutes=15 * k) for k in range(15 * 4)]


def night_around(world: World, zone: str, local: list[datetime], *arguments: str, **settings: str) -> Interactions:
    rows = pd.DataFrame(
        {
            "user": [f"u{k % 7}" for k in range(len(local))],
            "item": [f"i{k:03}" for k in range(len(local))],
            "at": [at.isoformat(sep=" ") for at in local],
        }
    )
    rows.to_csv(world.data / "local.csv", index=False)
    columns = {"user_id": "user", "item_id": "item", "occurred_at": "at"}
    source = {"path": "local.csv", "columns": columns, "time": {"unit": "iso", "timezone": zone}}
    world.write_catalog({"sources": [source], "holdout_days": 0.25, "min_holdout_users": 1})
    done = world.night("--no-publish", *arguments, **settings)
    assert done.code == 0, done.err
    accepted = pq.read_table(world.step(done.json["batch_id"], "validate", "interactions.parquet"))
    return Interactions.from_table(accepted)


@pytest.mark.parametrize(("zone", "season"), CHANGES)
def test_no_row_is_lost_or_reordered_across_a_change_of_clocks(make_world: MakeWorld, zone: str, season: str):
    day, change = CHANGES[zone, season]
    local = around(day)
    world = make_world(Goods(shop().sound.head(0)))
    rows = night_around(world, zone, local, TZ="Asia/Kolkata")
    instant = [
        datetime.fromtimestamp(t / 1e6, UTC) for _, t in sorted(zip(rows.item_idx, rows.occurred_at, strict=True))
    ]
    assert len(instant) == len(local)
    assert instant == sorted(instant)
    for at, found in zip(local, instant, strict=True):
        meant = at.replace(tzinfo=ZoneInfo(zone))  # its first pass, where the hour comes twice
        if meant.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != at:
            assert found == change, "an hour that the clocks skip is the instant of the change"
        else:
            assert found == meant.astimezone(UTC)


@pytest.mark.parametrize(("zone", "season"), CHANGES)
def test_a_night_may_end_in_the_hour_of_the_change(make_world: MakeWorld, zone: str, season: str):
    day, change = CHANGES[zone, season]
    world = make_world(Goods(shop().sound.head(0)))
    found = []
    for as_of in (change - timedelta(minutes=30), change, change + timedelta(minutes=30)):
        rows = night_around(world, zone, around(day), "--as-of", as_of.isoformat(), TZ=zone)
        assert rows.occurred_at.max() < as_of.timestamp() * 1e6
        found.append(len(rows))
    assert found == sorted(found)
    assert found[0] < found[2]


TICKS = """
import json, sys
from datetime import datetime, timedelta
import pendulum
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
answers = {}
for zone, first in json.loads(sys.argv[1]):
    timetable = CronTriggerTimetable("30 1 * * *", timezone=zone, run_immediately=timedelta(0))
    at = pendulum.parse(first, tz="UTC")
    limits = TimeRestriction(earliest=at, latest=None, catchup=True)
    ticks, last = [], None
    for _ in range(5):
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=limits)
        ticks.append(info.run_after.in_timezone(zone).isoformat())
        last = info.data_interval
    answers[zone + first] = ticks
print(json.dumps(answers))
"""


def test_a_schedule_in_local_time_gives_one_night_a_day_over_both_changes(tmp_path: Path):
    asked = [(zone, (change - timedelta(days=2)).isoformat()) for (zone, _), (_, change) in CHANGES.items()]
    for ticks in run(TICKS, tmp_path, json.dumps(asked)).values():
        days = [datetime.fromisoformat(tick).date() for tick in ticks]
        assert len(set(days)) == len(days) == 5
        assert days == [days[0] + timedelta(days=k) for k in range(5)]

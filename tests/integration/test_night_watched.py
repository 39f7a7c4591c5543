"""Nights whose input is too little, too much, too old or the same again: stopped as the catalog says, and heard of."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.commands import ROOT, Command
from tests.statsd_listener import StatsdListener
from tests.worlds import DAY_0, EARLIER, Goods, MakeWorld, World, shop


def part_of(goods: Goods, share: float) -> Goods:
    """Some of the rows, drawn by chance, as a shop that sold less would have them."""
    return replace(goods, sound=goods.sound.sample(frac=share, random_state=1).sort_index(), bad={}, twice=0)


def ten_times(goods: Goods) -> Goods:
    again = [goods.sound.assign(at=goods.sound["at"] - timedelta(seconds=k)) for k in range(10)]
    return replace(goods, sound=pd.concat(again, ignore_index=True), bad={}, twice=0)


@pytest.fixture
def yesterday(make_world: MakeWorld) -> World:
    """A shop with last night's batch live."""
    world = make_world(shop())
    world.publish("--as-of", EARLIER)
    return world


VOLUMES: dict[str, tuple[Any, str]] = {
    "ten times fewer": (lambda goods: part_of(goods, 0.1), "volume_too_low"),
    "ten times more": (ten_times, "volume_too_high"),
}


@pytest.mark.parametrize("case", VOLUMES)
def test_a_volume_out_of_the_band_is_refused_recorded_and_counted(yesterday: World, statsd: StatsdListener, case: str):
    spoil, reason = VOLUMES[case]
    live, before = yesterday.live(), yesterday.everything()
    goods, catalog = yesterday.goods, yesterday.catalog
    yesterday.write(spoil(goods)).write_catalog(catalog)
    done = yesterday.night(**statsd.settings)
    assert done.code == 65, done.err
    assert f"{reason}: " in done.message
    assert "limits.volume allows 0.5 to 2 times as many" in done.message
    assert "--force REASON" in done.message
    assert (yesterday.live(), yesterday.everything()) == (live, before)
    assert statsd.all()[f"recjobs.{yesterday.name}.validate.refused"] == "1|c"
    (found,) = yesterday.rows("select * from inputs where state = 'refused'")
    assert found["reason"] == reason
    assert (
        yesterday.value("select action from findings where batch_id = %s and reason = %s", found["batch_id"], reason)
        == "refused"
    )

    # mended, the night runs
    yesterday.write(goods).write_catalog(catalog)
    assert yesterday.night().code == 0
    assert yesterday.live() != live


def test_a_reason_forces_it_and_stays_to_be_read(yesterday: World):
    yesterday.write(part_of(yesterday.goods, 0.1))
    done = yesterday.night("--force", "we closed a branch", "--set", "inspect.min_overlap_with_live=0")
    assert done.code == 0, done.err
    warned = yesterday.rows(
        "select reason, action, example from findings"
        " where batch_id = %s and action = 'warned' and reason not like 'likely_%%'",
        yesterday.live(),
    )
    assert [(row["reason"], "(forced: we closed a branch)" in row["example"]) for row in warned] == [
        ("volume_too_low", True)
    ]


@pytest.mark.parametrize(("action", "code"), [("skip", 75), ("warn", 0)])
def test_the_catalog_says_what_happens(yesterday: World, action: str, code: int):
    limits = {"volume": {"low": 0.9999, "high": 1.0, "action": action}}
    yesterday.write_catalog(yesterday.catalog | {"limits": limits})
    done = yesterday.night()
    assert done.code == code, done.err
    states = {75: "skipped", 0: "accepted"}
    assert yesterday.value("select state from inputs order by as_of desc limit 1") == states[code]


def test_no_rows_at_all_are_refused(yesterday: World):
    yesterday.write(replace(yesterday.goods, sound=yesterday.goods.sound.head(0), bad={}, twice=0, of_a_test=0))
    done = yesterday.night("--as-of", "2025-06-28")
    assert done.code == 65, done.err
    assert yesterday.live()


def days_of(rates: dict[str, int]) -> Goods:
    """A shop that sells so many things on each date."""
    rng = np.random.default_rng(5)
    rows = [
        (
            f"u{rng.integers(200):03}",
            f"i{rng.integers(60):02}",
            datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(seconds=int(s)),
        )
        for day, n in rates.items()
        for s in np.sort(rng.integers(8 * 3600, 18 * 3600, n)).tolist()
    ]
    return Goods(pd.DataFrame(rows, columns=["user", "item", "at"]).assign(quantity=1.0))


# in proportion to what a real wholesaler sold: 279 on its least day, 5,331 on its best, 1,566 on a usual one
WEEK = {"2025-05-05": 157, "2025-05-06": 140, "2025-05-07": 180, "2025-05-08": 533, "2025-05-09": 120, "2025-05-10": 28}


def test_an_honest_saturday_passes_and_a_tenth_of_the_usual_day_does_not(make_world: MakeWorld):
    rates = WEEK | {"2025-05-11": 15}
    world = make_world(days_of(dict(list(rates.items())[:1])), mode="increment", holdout_days=2, min_holdout_users=1)
    for day, n in rates.items():
        world.write(days_of({day: n}), mode="increment", holdout_days=2, min_holdout_users=1)
        done = world.night("--as-of", day, "--force", "x") if day == "2025-05-05" else world.night("--as-of", day)
        assert done.code == (65 if day == "2025-05-11" else 0), (day, done.err)
    assert "volume_too_low: 15 interactions where the median of the last 6 nights" in done.message
    assert world.value("select n_interactions from batches where is_live") == sum(WEEK.values())
    rows = world.rows("select n_read, n_accepted, n_carried from inputs where state = 'accepted' order by as_of")
    assert [row["n_accepted"] for row in rows] == list(WEEK.values())
    assert [row["n_carried"] for row in rows] == [0, *np.cumsum(list(WEEK.values()))[:-1].tolist()]


def until_now(goods: Goods, ago: timedelta) -> Goods:
    """The same shop, whose newest row is so old."""
    shift = datetime.now(UTC).replace(microsecond=0) - ago - goods.sound["at"].max()
    return replace(goods, sound=goods.sound.assign(at=goods.sound["at"] + shift), bad={}, twice=0)


def test_a_live_source_three_days_old_is_skipped_and_one_of_today_passes(make_world: MakeWorld, statsd: StatsdListener):
    world = make_world(until_now(shop(), timedelta(days=3)), live=True)
    done = world.night(**statsd.settings)
    assert done.code == 75, done.err
    assert "stale_input: the newest interaction is of" in done.message
    assert "limits.freshness.max_age_hours allows 48" in done.message
    assert statsd.all()[f"recjobs.{world.name}.validate.skipped"] == "1|c"
    assert world.live() is None
    world.write(until_now(shop(), timedelta(hours=3)), live=True)
    assert world.night().code == 0
    assert world.live()


def test_a_live_source_with_yesterdays_bytes_is_refused_and_the_same_day_again_is_nothing_new(make_world: MakeWorld):
    goods = until_now(shop(), timedelta(hours=30))
    world = make_world(goods, live=True)
    yesterday = (datetime.now(UTC) - timedelta(hours=25)).isoformat(timespec="seconds")
    assert world.night("--as-of", yesterday).code == 0
    done = world.night()
    assert done.code == 65, done.err
    assert "repeated_input: the input has the same bytes as on the night of" in done.message
    newer = until_now(shop(), timedelta(hours=2))
    world.write(newer, live=True)
    first = world.night()
    assert first.code == 0, first.err
    again = world.night()
    assert (again.code, again.json["nothing_new"], again.json["batch_id"]) == (0, True, first.json["batch_id"])


def test_a_night_whose_catalog_file_is_broken_counts_as_one_that_failed_in_begin(
    make_world: MakeWorld, statsd: StatsdListener
):
    world = make_world()
    world.write_catalog(world.catalog | {"holdout_days": -1})
    for verb in ("night", "begin"):
        assert world.recjobs(verb, **statsd.settings).code == 78
        assert statsd.all() == {f"recjobs.{world.name}.begin.failed": "1|c"}
    done = Command(("night", "--catalog", "nowhere"), world.settings | statsd.settings).wait()
    assert (done.code, statsd.all()) == (64, {}), "a name that is no catalog's makes no metric"


def test_a_batch_says_when_its_lists_are_too_old_and_the_status_tells(make_world: MakeWorld):
    world = make_world(serve={"max_age_hours": 10}, verb="played")
    world.publish("--as-of", EARLIER)

    def status() -> dict[str, Any]:
        done = Command(("status", "--json"), world.settings).wait()
        freshness: dict[str, Any] = done.json["catalogs"][world.name]["freshness"]
        return freshness

    def age(hours: float) -> None:
        world.rows(
            "update batch_records set published_at = now() - make_interval(secs => %s)", hours * 3600, role="admin"
        )

    fresh = status()
    assert (fresh["max_age_hours"], fresh["too_old"]) == (10, False)
    assert 0 <= fresh["age_hours"] < 1
    assert world.rows("select verb from batches") == [{"verb": "played"}], "what pages call an interaction"
    age(9.9)
    assert not status()["too_old"]
    age(10.1)
    assert status()["too_old"]
    shown = Command(("status",), world.settings).wait()
    assert "published 10.1 hours ago" in shown.out
    assert "too old: serve.max_age_hours allows 10 hours" in shown.out
    world.rows("update batch_records set max_age_hours = null", role="admin")
    assert not status()["too_old"]


def test_three_increments_by_several_ranges_of_users_make_the_lists_of_one_snapshot(make_world: MakeWorld):
    goods = shop()
    whole = make_world(replace(goods, bad={}, twice=0, of_a_test=0))
    ends = [DAY_0 + timedelta(days=days) for days in (60, 100, 121)]
    parts, before = [], DAY_0
    for end in ends:
        rows = goods.sound[(goods.sound["at"] >= before - timedelta(days=2)) & (goods.sound["at"] < end)]
        parts.append(replace(goods, sound=rows.reset_index(drop=True), bad={}, twice=0, of_a_test=0))
        before = end
    limits = {"volume": {"low": 0.0, "high": 100}}
    small = make_world(parts[0], mode="increment", limits=limits)
    for end, part in zip(ends, parts, strict=True):
        small.write(part, mode="increment", limits=limits)
        ranges = {f"recjobs.core.rows.user_ranges:{bound}": 100 for bound in ("LEAST", "MOST")}
        asked = "--as-of", end.isoformat(), "--force", "an increment"
        last = small.start("night", "--json", *asked, constants=ranges).wait()
        assert last.code == 0, last.err
    steps = last.json["steps"]["validate"]
    overlap = int((goods.sound["at"] >= ends[1] - timedelta(days=2)).sum() - (goods.sound["at"] >= ends[1]).sum())
    assert steps["merged"] == overlap
    assert steps["carried"] + steps["accepted"] == len(goods.sound)
    assert steps["read"] == steps["accepted"] + steps["merged"]
    assert whole.night("--as-of", ends[2].isoformat()).code == 0
    lists = "select user_id, item_ids from served_lists order by user_id"
    history = "select user_id, rank, item_id, occurred_at from user_history order by 1, 2"
    assert small.rows(history) == whole.rows(history)
    interactions = [world.step(str(world.live()), "validate", "interactions.parquet") for world in (small, whole)]
    assert interactions[0].read_bytes() == interactions[1].read_bytes()
    assert len(small.rows(lists)) == len(whole.rows(lists))


def test_drift_is_measured_drawn_and_sent(make_world: MakeWorld, statsd: StatsdListener):
    goods = shop()
    world = make_world(goods, limits={"drift": {"min_interactions": 50, "window_days": 20}})
    world.publish("--as-of", EARLIER)
    later = goods.sound["at"] > goods.sound["at"].max() - timedelta(days=12)
    heavier = goods.sound.assign(quantity=np.where(later, 64.0, goods.sound["quantity"]))
    world.write(replace(goods, sound=heavier), limits={"drift": {"min_interactions": 50, "window_days": 20}})
    done = world.night(**statsd.settings)
    assert done.code == 0, done.err
    rows = {row["feature"]: row for row in world.rows("select * from drift")}
    assert rows["weights"]["value"] > 0.25 > rows["hour_of_day"]["value"]
    assert rows["weights"]["threshold"] == 0.25
    warned = world.rows("select reason from findings where action = 'warned' order by 1")
    assert {"reason": "drift_weights"} in warned
    page = world.step(str(world.live()), "report", "report.html").read_text()
    assert "drift_weights" in page
    assert page.count("<svg") >= 6
    sent = statsd.all()
    assert float(sent[f"recjobs.{world.name}.validate.drift_weights"].split("|")[0]) == pytest.approx(
        rows["weights"]["value"], abs=1e-3
    )


def test_every_metric_that_is_sent_is_explained(make_world: MakeWorld, statsd: StatsdListener):
    explained = yaml.safe_load((ROOT / "recjobs" / "metrics.yaml").read_text())
    del explained["webapp"]  # held by test_webapp_metrics.py
    world = make_world(limits={"drift": {"min_interactions": 50, "window_days": 20}})
    sent = []
    for arguments in (("--as-of", EARLIER), (), ("--set", "limits.min_interactions=1000000")):
        world.night(*arguments, **statsd.settings)
        sent += list(statsd.all().items())
    assert world.recjobs("prune", **statsd.settings).code == 0
    sent += list(statsd.all().items())
    kinds = {"ms": "timing", "g": "gauge", "c": "counter"}
    heard = set()
    for name, value in sent:
        _, catalog, step, metric = name.split(".", 3)
        assert catalog == world.name
        metric = next((key for key in explained if fnmatchcase(metric, key)), metric)
        assert metric in explained, name
        assert explained[metric]["steps"] == "all" or step in explained[metric]["steps"], name
        assert explained[metric]["type"] == kinds[value.split("|")[1]], name
        heard.add(metric)
    of_a_gpu = {name for name in explained if name.startswith("gpu_")}  # tests/unit/test_gpu.py
    of_a_backup = {name for name in explained if name.startswith("backup_")}  # tests/integration/test_backup.py
    assert set(explained) - heard - of_a_gpu - of_a_backup <= {"skipped", "waiting", "failed"}


def test_the_steps_that_a_search_runs_are_heard_of_as_those_of_a_night(make_world: MakeWorld, statsd: StatsdListener):
    world = make_world()
    done = world.recjobs("tune", "--no-publish", "--trials", "1", "--timeout", "1m", **statsd.settings)
    assert done.code == 0, done.err
    sent = statsd.all()
    for step in ("begin", "extract", "validate", "tune"):
        assert f"recjobs.{world.name}.{step}.duration" in sent, step
    n_sound = len(world.goods.sound)
    assert sent[f"recjobs.{world.name}.validate.accepted"] == f"{n_sound}|g"
    assert int(sent[f"recjobs.{world.name}.extract.read"].removesuffix("|g")) > n_sound

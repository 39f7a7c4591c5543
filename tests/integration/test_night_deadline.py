"""Nights that start by a file's arrival: the deadline asks whether there was one since the deadline before."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from recjobs.catalog.file import Catalog
from recjobs.errors import InputLate
from recjobs.operations import deadline
from tests.worlds import MakeWorld, World, by_chance


@pytest.fixture(scope="module")
def arrived(make_world: MakeWorld) -> World:
    """A world in which a night has just begun."""
    world = make_world(by_chance())
    assert world.recjobs("begin").code == 0
    return world


def asked(world: World, at: datetime, cron: str, timezone: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in world.settings.items():
        monkeypatch.setenv(name, value)
    schedule = {"asset": "orders", "deadline": cron, "timezone": timezone}
    return deadline.run(Catalog.model_validate(world.catalog | {"name": world.name, "schedule": schedule}), at)


def test_a_night_since_the_deadline_before_meets_it(arrived: World, monkeypatch: pytest.MonkeyPatch):
    soon = datetime.now(UTC) + timedelta(minutes=5)
    cron = f"{soon.minute} {soon.hour} * * *"
    at = soon.replace(second=0, microsecond=0)
    assert asked(arrived, at, cron, "UTC", monkeypatch) == arrived.value(
        "select %s", next((arrived.artifacts / arrived.name).iterdir()).name
    )


@pytest.mark.parametrize("timezone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_a_night_of_the_day_before_does_not(arrived: World, monkeypatch: pytest.MonkeyPatch, timezone: str):
    at = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=2)
    local = at.astimezone(ZoneInfo(timezone))
    with pytest.raises(InputLate, match="the asset orders was not updated between") as late:
        asked(arrived, at, f"{local.minute} {local.hour} * * *", timezone, monkeypatch)
    assert f"deadline {local:%Y-%m-%d %H:%M}" in str(late.value)


def test_without_any_night_the_deadline_is_missed(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputLate):
        asked(make_world(by_chance()), datetime.now(UTC), "0 6 * * *", "UTC", monkeypatch)

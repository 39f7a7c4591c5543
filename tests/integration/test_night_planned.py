"""A night is planned before it begins: by counting at first, then by what the nights before it took."""

import json
from pathlib import Path
from typing import Any

import pytest

from recjobs import NIGHT
from tests.worlds import MakeWorld, World, shop


def plan(world: World, *arguments: str, **settings: str) -> dict[str, Any]:
    done = world.recjobs("plan", "--json", *arguments, **settings)
    assert done.code == 0, done.err
    return dict(done.json)


@pytest.fixture(scope="module")
def planned(make_world: MakeWorld) -> tuple[World, dict[str, Any]]:
    """A world before its first night, and the plan of that."""
    world = make_world(shop())
    return world, plan(world)


def test_before_the_first_night_rows_users_and_items_are_counted(planned: tuple[World, dict[str, Any]]):
    world, found = planned
    rows = world.goods.rows()
    assert found["nights"] == []
    assert found["speed"] > 0
    assert found["size"]["rows"] == len(rows)
    expected = {
        "interactions": len(world.goods.sound),
        "users": world.goods.sound["user"].nunique(),
        "items": world.goods.sound["item"].nunique(),
    }
    for name, n in expected.items():
        assert found["size"][name] == pytest.approx(n, rel=0.05), name
    assert list(found["steps"]) == list(NIGHT)
    assert found["fits"]
    assert not (world.artifacts / world.name).exists(), "a plan begins nothing"


def test_a_plan_says_what_spark_would_take_and_that_of_a_night_there_is_of_its_driver(
    planned: tuple[World, dict[str, Any]], make_world: MakeWorld
):
    world, found = planned
    assert [of["machines"] for of in found["spark"]] == [2, 4]
    assert all(of["seconds"] > found["seconds"] and of["pays_from"] > 1_000_000 for of in found["spark"])
    shown = world.recjobs("plan").out.splitlines()
    assert [line.split(" machines")[0] for line in shown if line.startswith("Spark")] == ["Spark     2", "Spark     4"]
    there = plan(make_world(shop(), engine="spark"))
    assert there["spark"] is None
    assert there["peak_bytes"] < found["peak_bytes"]


def test_a_night_that_needs_more_memory_than_there_is_does_not_begin(planned: tuple[World, dict[str, Any]]):
    world, found = planned
    done = world.night(RECJOBS_MEMORY="100MB")
    assert done.code == 78
    assert f"of memory in {found['peak_step']}" in done.message
    assert "95 MiB (RECJOBS_MEMORY)" in done.message
    assert "--force REASON" in done.message
    assert list(world.artifacts.glob(f"{world.name}/2*")) == []
    shown = world.recjobs("plan", RECJOBS_MEMORY="100MB")
    assert shown.code == 78
    assert f"a night of {world.name} as of" in shown.out
    assert shown.message == done.message


def test_a_night_that_has_too_little_room_in_postgres_waits(planned: tuple[World, dict[str, Any]]):
    world, _ = planned
    done = world.night(RECJOBS_DATABASE_SPACE="1MB")
    assert done.code == 75
    assert "a disk is full, nearly" in done.message
    assert "0 MB are free within RECJOBS_DATABASE_SPACE. Nothing was begun" in done.message
    assert list(world.artifacts.glob(f"{world.name}/2*")) == []


def test_with_a_reason_it_goes_on_and_the_next_plan_is_what_it_took(planned: tuple[World, dict[str, Any]]):
    world, first = planned
    done = world.night("--force", "it is only a test", RECJOBS_MEMORY="100MB")
    assert done.code == 0, done.err
    batch_id = done.json["batch_id"]
    folder: Path = world.artifacts / world.name / batch_id
    costs = {step: json.loads((folder / step / "cost.json").read_text()) for step in NIGHT}
    noted = json.loads((folder / "begin" / "plan.json").read_text())
    for key in ("as_of", "size", "peak_bytes", "peak_step", "artifact_bytes", "database_bytes", "nights"):
        assert noted[key] == first[key], key

    found = plan(world)
    assert found["nights"] == [batch_id]
    assert found["speed"] is None
    assert found["size"]["interactions"] == len(world.goods.sound)
    for step, cost in costs.items():
        assert found["steps"][step]["peak_bytes"] == pytest.approx(cost["peak_bytes"], rel=1e-6)
        assert found["steps"][step]["seconds"] == pytest.approx(cost["seconds"], abs=0.1)
    written = sum(file.stat().st_size for step in NIGHT for file in (folder / step).rglob("*") if file.is_file())
    assert found["artifact_bytes"] == pytest.approx(written, rel=0.05)
    in_postgres = world.value(
        "select sum(pg_total_relation_size(oid)) from pg_class "
        "where relkind = 'r' and relname like %s and relnamespace = %s::regnamespace",
        f"%{batch_id.replace('-', '_').lower()}",
        world.name,
        role="admin",
    )
    assert found["database_bytes"] == pytest.approx(float(in_postgres), rel=0.05)
    assert found["database_bytes"] != first["database_bytes"]

    noted = folder / "score" / "cost.json"  # without it, files may be those of a step that was killed
    noted.rename(noted.with_suffix(".aside"))
    usual = plan(world)["steps"]["score"]["disk_bytes"]
    assert usual == pytest.approx(first["steps"]["score"]["disk_bytes"], rel=0.01)
    assert usual != pytest.approx(found["steps"]["score"]["disk_bytes"], rel=0.01)
    noted.with_suffix(".aside").rename(noted)


def test_twice_the_rows_are_counted_anew_and_cost_more(planned: tuple[World, dict[str, Any]]):
    world, _ = planned
    before = plan(world)
    more = shop(n_users=600, seed=3)
    more.rows().to_parquet(world.data / "rows" / "part-3.parquet", index=False)
    after = plan(world)
    (world.data / "rows" / "part-3.parquet").unlink()
    assert after["nights"] == before["nights"]
    assert after["size"]["users"] > 3 * before["size"]["users"]
    assert after["peak_bytes"] > before["peak_bytes"]
    assert after["database_bytes"] > before["database_bytes"]


def test_input_that_cannot_be_read_is_refused_by_the_step_that_reads_it(make_world: MakeWorld):
    world = make_world(shop())
    (world.data / "rows" / "part-2.parquet").write_bytes(b"PAR1 and no more")
    done = world.night("--as-of", "2025-06-20")
    assert done.code == 65
    assert "cannot be read as parquet" in done.message
    assert world.recjobs("plan", "--as-of", "2025-06-20").code == 65

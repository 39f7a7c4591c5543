"""The same night again, a later one, an earlier one; and what an operator does about a batch afterwards."""

import time
from pathlib import Path

import pytest

from tests.commands import Command
from tests.worlds import EARLIER, MakeWorld, World

pytestmark = pytest.mark.soak


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file under a folder, with its inode and the time it was written."""
    return {str(p): (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def batch_ids(world: World) -> list[str]:
    return [row["batch_id"] for row in world.rows("select batch_id from batches order by as_of, batch_id")]


def last_entry(world: World) -> dict[str, object]:
    return world.rows("select * from publish_log order by log_id desc limit 1")[0]


def test_the_same_night_again_is_nothing_new_and_changes_nothing(published: World):
    rows, files = published.everything(), files_of(published.artifacts / published.name)
    done = published.night()
    assert done.code == 0
    assert done.json == {
        "batch_id": published.live(), "resumed": False, "nothing_new": True, "catalog": published.name, "steps": {},
    }  # fmt: skip
    assert f"nothing new: {published.live()}" in done.err
    assert published.everything() == rows
    assert files_of(published.artifacts / published.name) == files


def test_every_step_again_changes_no_list(rolling: World):
    batch_id = rolling.live() or ""
    rows = rolling.everything().split()
    lists = [path.read_bytes() for path in sorted(rolling.step(batch_id, "score", "").glob("*.parquet"))]
    for step in ("extract", "validate", "split", "train", "evaluate", "gate", "refit", "score", "inspect", "publish"):
        done = rolling.recjobs(step, "--batch-id", batch_id)
        assert done.code == 0, f"{step}: {done.err}"
    assert [path.read_bytes() for path in sorted(rolling.step(batch_id, "score", "").glob("*.parquet"))] == lists
    assert rolling.everything().split() == rows


def test_a_later_as_of_publishes_a_new_batch(published: World):
    first, second = batch_ids(published)
    assert published.live() == second > first
    log = published.rows("select action, batch_id, previous_batch_id, forced, actor from publish_log order by log_id")
    publish = {"action": "publish", "forced": False, "actor": "recjobs_publisher"}
    assert log == [
        publish | {"batch_id": first, "previous_batch_id": None},
        publish | {"batch_id": second, "previous_batch_id": first},
    ]


def test_an_earlier_as_of_is_refused_unless_it_is_forced_with_a_reason(make_world: MakeWorld):
    world = make_world()
    live = world.publish("--as-of", EARLIER)
    before = world.everything()
    refused = world.night("--as-of", "2025-06-01")
    assert refused.code == 75
    assert f"older than the live batch {live}" in refused.message
    assert "--force REASON" in refused.message
    assert world.live() == live
    assert world.value("select count(*) from publish_log") == 1
    again = world.night("--as-of", "2025-06-01")
    assert again.code == 75, "a rerun is refused too"
    assert before.split()[1] == world.everything().split()[1]

    no_reason = world.night("--as-of", "2025-06-01", "--force", " ")
    assert no_reason.code == 64
    forced = world.night("--as-of", "2025-06-01", "--force", "the newer prices were wrong")
    assert forced.code == 0, forced.err
    assert world.live() == forced.json["batch_id"]
    entry = last_entry(world)
    assert (entry["forced"], entry["reason"]) == (True, "the newer prices were wrong")
    assert entry["previous_batch_id"] == live


def test_roll_back_returns_to_the_batch_before_and_its_champion(rolling: World):
    first, second = batch_ids(rolling)
    served = rolling.rows("select batch_id, champion_version from batches order by as_of")
    reader = rolling.postgres.connect("recjobs_reader", rolling.name)
    with reader.cursor() as cursor:
        cursor.execute("select batch_id from served_lists where user_id = '007'")
        assert cursor.fetchone() == (second,)
        done = rolling.recjobs("roll-back", "--reason", "prices were wrong", "--json")
        cursor.execute("select batch_id from served_lists where user_id = '007'")
        assert cursor.fetchone() == (first,), "a connection that was open all the while sees it at once"
    reader.close()
    assert done.code == 0
    assert done.json == {
        "catalog": rolling.name, "live": first, "was": second, "champion": served[0]["champion_version"],
    }  # fmt: skip
    in_charge = rolling.value("select model_version from champion", role="recjobs_publisher")
    assert in_charge == served[0]["champion_version"] != served[1]["champion_version"]
    entry = last_entry(rolling)
    assert (entry["action"], entry["batch_id"], entry["previous_batch_id"]) == ("roll_back", first, second)
    assert (entry["reason"], entry["actor"]) == ("prices were wrong", "recjobs_publisher")
    assert entry["previous_model_version"] == served[1]["champion_version"]
    assert rolling.value("select rolled_back_at is not null from batches where batch_id = %s", second)


def test_rolling_back_takes_less_than_a_second(rolling: World):
    session = rolling.postgres.connect("recjobs_publisher", rolling.name)
    with session.cursor() as cursor:
        began = time.monotonic()
        cursor.execute("select roll_back(null, 'how long does it take')")
        assert time.monotonic() - began < 1
    session.close()


def test_a_batch_that_was_rolled_back_is_not_published_by_a_rerun(rolling: World):
    first, second = batch_ids(rolling)
    assert rolling.recjobs("roll-back").code == 0
    assert rolling.night().json["nothing_new"]
    assert rolling.live() == first
    by_hand = rolling.recjobs("publish", "--batch-id", second)
    assert by_hand.code == 75
    assert "was rolled back" in by_hand.message
    assert "--force REASON" in by_hand.message
    assert rolling.live() == first


def test_rolling_forward_is_a_roll_back_to_the_later_batch(rolling: World):
    first, second = batch_ids(rolling)
    champion = "select model_version from champion"
    newest = rolling.value(champion, role="recjobs_publisher")
    assert rolling.recjobs("roll-back", "--batch-id", first).code == 0
    assert rolling.recjobs("roll-back", "--batch-id", second, "--reason", "it was right").code == 0
    assert rolling.live() == second
    assert rolling.value(champion, role="recjobs_publisher") == newest
    assert rolling.value("select count(*) from batches where rolled_back_at is not null") == 0
    entries = rolling.value("select count(*) from publish_log")
    assert rolling.recjobs("roll-back", "--batch-id", second).code == 0
    assert rolling.value("select count(*) from publish_log") == entries, "a rerun changes nothing"


def test_nothing_lies_before_the_first_batch(rolling: World):
    first, _ = batch_ids(rolling)
    assert rolling.recjobs("roll-back", "--batch-id", first).code == 0
    done = rolling.recjobs("roll-back")
    assert done.code == 65
    assert f"no earlier batch than {first}" in done.message
    assert rolling.live() == first


def test_a_batch_that_does_not_exist_is_nothing_to_roll_back_to(rolling: World):
    live = rolling.live()
    nonsense = rolling.recjobs("roll-back", "--batch-id", "yesterday's")
    assert (nonsense.code, rolling.live()) == (64, live)
    assert '"yesterday\'s" is no batch id: they look like 20111209T125001Z-1' in nonsense.message
    unknown = rolling.recjobs("roll-back", "--batch-id", "20200101T000000Z-1")
    assert (unknown.code, rolling.live()) == (65, live)
    assert "20200101T000000Z-1 is not among the published batches that are kept" in unknown.message
    never = rolling.recjobs("publish", "--batch-id", "20200101T000000Z-1")
    assert never.code == 65
    assert "20200101T000000Z-1 has no finished 'begin' step" in never.message


def test_promote_puts_another_model_in_charge_and_leaves_the_lists(rolling: World):
    champion = "select model_version from champion"
    first, newest = (row["model_version"] for row in rolling.rows("select model_version from batches order by as_of"))
    assert rolling.value(champion, role="recjobs_publisher") == newest
    live = rolling.live()
    done = rolling.recjobs("promote", "--model-version", first, "--reason", "asked by merchandising", "--json")
    assert done.code == 0
    assert done.json == {"catalog": rolling.name, "champion": first}
    assert rolling.value(champion, role="recjobs_publisher") == first
    assert rolling.live() == live
    entry = last_entry(rolling)
    assert (entry["action"], entry["model_version"], entry["reason"]) == ("promote", first, "asked by merchandising")
    unknown = rolling.recjobs("promote", "--model-version", "99", "--reason", "a slip")
    assert unknown.code == 65
    assert f"there is no model version 99 in {rolling.name}" in unknown.message
    assert rolling.recjobs("promote", "--model-version", newest, "--reason", "back").code == 0


def test_looking_at_the_same_date_without_publishing_does_not_make_the_night_new(rolling: World):
    rows = rolling.everything()
    looked = rolling.night("--no-publish")
    assert looked.code == 0, looked.err
    again = rolling.night()
    assert again.json["nothing_new"], again.json
    assert rolling.everything() == rows


def test_a_catalog_without_a_batch_has_nothing_to_roll_back(make_world: MakeWorld):
    world = make_world()
    assert world.recjobs("begin", "--as-of", EARLIER).code == 0
    done = world.recjobs("roll-back")
    assert done.code == 65
    assert "nothing is live" in done.message


def test_a_catalog_whose_file_is_broken_or_gone_is_rolled_back_promoted_and_in_the_status(rolling: World):
    first, second = batch_ids(rolling)
    file = rolling.catalogs / f"{rolling.name}.yaml"
    sound, in_charge = file.read_text(), "select model_version from champion"
    newest = rolling.value(in_charge, role="recjobs_publisher")
    try:
        file.write_text("sources: [")
        assert rolling.recjobs("roll-back", "--reason", "the prices").code == 0
        assert rolling.live() == first
        status = Command(("status", "--json"), rolling.settings).wait()
        entry = status.json["catalogs"][rolling.name]
        assert (status.code, entry["live"]["batch_id"]) == (0, first)
        assert f"{rolling.name}.yaml: not YAML" in entry["file"]
        assert Command(("data", "list", "--catalog", rolling.name), rolling.settings).wait().code == 0
        assert rolling.night().code == 78, "a new night needs the file"
        file.unlink()
        assert rolling.recjobs("promote", "--model-version", newest, "--reason", "a test").code == 0
        assert rolling.value(in_charge, role="recjobs_publisher") == newest
        assert rolling.recjobs("roll-back", "--batch-id", second, "--reason", "forward").code == 0
        lines = Command(("status",), rolling.settings).wait().out.splitlines()
        assert any(line.startswith(f"{rolling.name} ") and "until `recjobs catalog remove`" in line for line in lines)
        assert rolling.recjobs("trace", "--user", "007", "--item", "007").code == 0
        unknown = Command(("roll-back", "--catalog", "world"), rolling.settings).wait()
        assert (unknown.code, "there is no catalog 'world'" in unknown.message) == (64, True)
    finally:
        file.write_text(sound)

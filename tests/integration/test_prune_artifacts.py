"""Pruning lets artifacts go with their batch, but for what the champion, a kept batch or the next night needs."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from recjobs.catalog.files import load_catalog
from recjobs.operations import prune
from tests.batches import publish
from tests.commands import Done, Kill
from tests.s3_server import running
from tests.worlds import EARLIER, MakeWorld, World

ABSURD = ("--set", "factors=1", "--set", "regularization=1.0e+9", "--set", "alpha=1.0e-3")
FOLDERS = "recjobs.adapters.artifact_store:ArtifactStore"


def lying(world: World, within: str = "") -> dict[str, set[str]]:
    """Nights (searches, results) that have a folder, and their parts."""
    place = world.artifacts / world.name / within
    return {path.name: {part.name for part in path.iterdir()} for path in place.iterdir() if path.name[0] != "_"}


def files(world: World) -> dict[str, bytes]:
    place = world.artifacts / world.name
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def age(folder: Path, days: float) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (time.time() - 86400 * days,) * 2)


def prune_of(world: World, *arguments: str, **options: Any) -> Done:
    done = world.recjobs("prune", "--json", *arguments, **options)
    assert done.code == 0, done.err
    return done


@pytest.fixture(scope="module")
def grown(make_world: MakeWorld) -> tuple[World, list[str]]:
    """Two nights, the later with the champion of the earlier; one that was only begun; and five later batches."""
    world = make_world()
    look = world.recjobs("begin", "--as-of", "2025-06-01", "--json")
    assert look.code == 0, look.err
    nights = [world.publish("--as-of", EARLIER), world.publish(*ABSURD)]
    (version,) = (row["model_version"] for row in world.rows("select model_version from models", role="admin"))
    later = [publish(world, day, version, version) for day in range(170, 175)]
    for batch_id in later:
        for step in ("begin", "score"):
            world.step(batch_id, step, "").mkdir(parents=True)
            world.step(batch_id, step, "manifest.json").write_text('{"key": null, "files": {}}')
    return world, [*nights, look.json["batch_id"], *later]


def test_a_dry_run_says_what_would_go_and_lets_nothing_go(grown: tuple[World, list[str]]):
    world, (first, second, *_) = grown
    before, tables = files(world), world.everything()
    said = prune_of(world, "--dry-run").json
    assert said["dry_run"]
    assert said["pruned"] == [first, second]
    gone = {Path(each["place"]).name: each for each in said["artifacts"]}
    assert set(gone) == {first, second}
    assert "refit" not in gone[first]["parts"].split()
    assert gone[first]["parts"].split()[0] == "begin"
    assert "validate" not in gone[second]["parts"].split()
    within = {name: len(content) for name, content in before.items()}
    assert gone[first]["bytes"] == sum(
        n for name, n in within.items() if name.startswith(first) and "/refit/" not in name
    )
    assert (files(world), world.everything()) == (before, tables)


@pytest.mark.parametrize(
    "kill",
    [
        Kill("recjobs.operations.prune:_prune_artifacts", "before"),
        Kill(f"{FOLDERS}.undo_step", "after", ("begin",)),
        Kill(f"{FOLDERS}.undo_step", "before", ("train",)),
        Kill(f"{FOLDERS}.remove_night", "after"),
    ],
    ids=["before", "begun no more", "half way", "one of two"],
)
def test_killed_it_leaves_no_step_that_counts_without_its_files(grown: tuple[World, list[str]], kill: Kill):
    """Each goes on where the one before was killed."""
    world, (_, _, look, *later) = grown
    assert world.recjobs("prune", kill=kill).code == -9
    for manifest in (world.artifacts / world.name).rglob("manifest.json"):
        for name in json.loads(manifest.read_text())["files"]:
            assert (manifest.parent / name).is_file(), manifest
    whole = lying(world)
    assert all(whole[batch_id] == {"begin", "score"} for batch_id in later)
    assert whole[look] == {"begin"}
    for batch_id in world.rows("select batch_id from batches where pruned_at is null order by as_of desc"):
        assert world.recjobs("roll-back", "--batch-id", batch_id["batch_id"]).code == 0
        assert world.value("select count(*) from served_lists") == 1
    assert world.recjobs("roll-back", "--batch-id", later[-1]).code == 0


def test_the_next_finishes_it_and_again_nothing_is_left_to_do(grown: tuple[World, list[str]]):
    world, (first, second, look, *later) = grown
    prune_of(world)
    found = lying(world)
    assert found[first] == {"refit"}, "the champion's model"
    assert found[second] == {"begin", "validate"}, "the latest accepted input"
    assert set(found) == {first, second, look, *later}
    before = files(world)
    again = prune_of(world).json
    assert (again["pruned"], again["artifacts"], again["bytes"]) == ([], [], 0)
    assert files(world) == before


def test_the_next_night_is_held_against_the_champion_whose_night_is_gone(grown: tuple[World, list[str]]):
    world, (first, *_) = grown
    done = world.night("--as-of", "2025-07-20", *ABSURD)
    assert done.code == 0, done.err
    batch_id = done.json["batch_id"]
    assert json.loads(world.step(batch_id, "refit", "model.json").read_text())["source"] == "champion"
    model = world.rows("select model_version, champion_version from batches where is_live")[0]
    assert set(model.values()) == {world.value("select model_version from champion", role="recjobs_publisher")}
    assert lying(world)[first] == {"refit"}


def test_a_pruned_night_asked_again_is_another_attempt(grown: tuple[World, list[str]]):
    world, (_, second, *_) = grown
    at = str(world.value("select as_of from batches where batch_id = %s", second).isoformat()).replace("+00:00", "Z")
    late = world.night("--as-of", at, *ABSURD)
    assert late.code == 75
    assert "older than the live batch" in late.message
    forced = world.night("--as-of", at, *ABSURD, "--force", "for a comparison")
    assert forced.code == 0, forced.err
    assert forced.json["batch_id"] == f"{second[:-1]}2"
    assert world.live() == forced.json["batch_id"]


def test_a_model_whose_file_is_gone_is_not_put_in_charge(grown: tuple[World, list[str]]):
    world, (first, *_) = grown
    charge = "select model_version from champion"
    version = world.value(charge, role="recjobs_publisher")
    model = world.step(first, "refit", "model.npz")
    aside = model.with_name("aside")
    (model.parent / "manifest.json").rename(aside)
    done = world.recjobs("promote", "--model-version", version, "--reason", "it was good")
    aside.rename(model.parent / "manifest.json")
    assert done.code == 65
    assert "has no finished 'refit' step" in done.message
    assert world.value("select count(*) from publish_log where action = 'promote'") == 0
    assert world.recjobs("promote", "--model-version", version, "--reason", "it was good").code == 0


def test_a_model_that_is_put_in_charge_while_prune_begins_stays(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch):
    world = make_world()
    night = world.publish("--as-of", EARLIER)
    version = world.value("select model_version from models", role="admin")
    for day in range(170, 175):
        publish(world, day, pinned=version)
    world.rows("delete from champion_model", role="admin")
    for name, value in world.settings.items():
        monkeypatch.setenv(name, value)
    look = prune.find_garbage

    def look_and_be_overtaken(*arguments: Any) -> Any:
        found = look(*arguments)
        assert [going.name for going in found.nights] == [night]
        assert "refit" in found.nights[0].parts
        done = world.recjobs("promote", "--model-version", version, "--reason", "after all")
        assert done.code == 0, done.err
        return found

    monkeypatch.setattr(prune, "find_garbage", look_and_be_overtaken)
    prune.run(load_catalog(world.name))
    assert "refit" in lying(world)[night]
    monkeypatch.setattr(prune, "find_garbage", look)
    prune.run(load_catalog(world.name))
    assert lying(world)[night] == {"refit", "begin", "validate"}


@pytest.fixture
def looked(make_world: MakeWorld) -> tuple[World, list[str]]:
    """Three looks at the past, of which nothing was published."""
    world = make_world(keep={"days": 10})
    looks = []
    for day in ("2025-06-01", "2025-06-05", "2025-06-09"):
        done = world.recjobs("begin", "--as-of", day, "--json")
        assert done.code == 0, done.err
        looks.append(done.json["batch_id"])
    return world, looks


def study(world: World, name: str, batch_id: str) -> Path:
    folder = world.artifacts / world.name / "_tune" / name
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps({"batch_id": batch_id}))
    (folder / "trial-00000.json").write_text("{}")
    return folder


def test_what_published_nothing_goes_by_its_age_and_what_a_search_is_made_on_stays_with_it(
    looked: tuple[World, list[str]],
):
    world, looks = looked
    for batch_id in looks[:2]:
        age(world.step(batch_id, "", ""), 11)
    prune_of(world, "--dry-run")
    old, young = study(world, "tune-20250601T000000Z-aaaaaaaa", looks[2]), study(world, "tune-b", looks[0])
    age(old, 11)
    prune_of(world)
    assert set(lying(world)) == {looks[0], looks[2]}
    assert (old.exists(), young.exists()) == (False, True)
    age(young, 11)
    challenger = {
        "study_id": "tune-b", "as_of": "2025-06-01", "data_cutoff": "2025-05-01", "recipe": {}, "base_recipe": {},
        "value": 0.1, "n_trials": 1,
    }  # fmt: skip
    assert world.value("select record_challenger(%s)", json.dumps(challenger), role="recjobs_publisher")
    prune_of(world)
    assert young.exists(), "its recipe waits for a night"
    world.rows("update challenger_records set state = 'refused', decided_batch = 'x'", role="admin")
    prune_of(world)
    assert not young.exists()
    assert set(lying(world)) == {looks[2]}


def test_results_of_queries_stay_while_a_night_may_read_them(looked: tuple[World, list[str]]):
    world, looks = looked
    inputs = world.artifacts / world.name / "_inputs"
    inputs.mkdir()
    for name in ("used.csv.gz", "old.csv.gz", "left.part", "new.csv.gz"):
        (inputs / name).write_bytes(b"x" * 7)
    request = world.step(looks[2], "begin", "request.json")
    asked = json.loads(request.read_text())
    asked["input"]["files"][0]["path"] = f"{inputs}/used.csv.gz"
    request.write_text(json.dumps(asked))
    manifest = request.with_name("manifest.json")
    manifest.write_text(json.dumps({"files": {"request.json": hashlib.sha256(request.read_bytes()).hexdigest()}}))
    age(inputs, 11)
    os.utime(inputs / "new.csv.gz")
    gone = prune_of(world).json
    assert {path.name for path in inputs.iterdir()} == {"used.csv.gz", "new.csv.gz"}
    assert gone["bytes"] == 14


def test_an_increment_whose_past_is_gone_is_refused(make_world: MakeWorld):
    world = make_world(mode="increment")
    first = world.publish("--as-of", EARLIER)
    world.step(first, "validate", "manifest.json").unlink()
    done = world.night("--as-of", "2025-07-02")
    assert done.code == 65
    assert f"those of {first}: pruned" in done.message


def test_in_s3_too_with_a_dry_run_a_kill_and_a_rest(make_world: MakeWorld):
    world = make_world()
    with running() as server:
        settings = server.settings | {"RECJOBS_ARTIFACTS": "s3://bucket/nights"}
        assert world.recjobs("begin", **settings).code == 0
        batch_ids = [publish(world, day) for day in range(170, 177)]
        for batch_id in batch_ids:
            for part in ("begin/manifest.json", "begin/request.json", "train/manifest.json", "train/candidate.npz"):
                server.objects[f"bucket/nights/{world.name}/{batch_id}/{part}"] = b"{}"
        server.objects["bucket/nights/another/20250101T000000Z-1/begin/manifest.json"] = b"{}"

        def nights() -> set[str]:
            return {name.split("/")[3] for name in server.objects if f"/{world.name}/2" in name and name[-1] != "/"}

        before = set(server.objects)
        said = prune_of(world, "--dry-run", **settings).json
        assert set(server.objects) == before
        assert {each["place"].rpartition("/")[2] for each in said["artifacts"]} >= set(batch_ids[:2])
        killed = Kill(f"{FOLDERS}.undo_step", "after", (batch_ids[0], "train"))
        assert world.recjobs("prune", kill=killed, **settings).code == -9
        assert prune_of(world, **settings).json["dry_run"] is False
        assert nights() == set(batch_ids[2:])
        assert "bucket/nights/another/20250101T000000Z-1/begin/manifest.json" in server.objects


def test_records_go_after_the_nights_that_the_catalog_keeps_them_for(make_world: MakeWorld):
    world = make_world(keep={"records": 6, "rejected_rows": 2})
    assert world.recjobs("begin").code == 0
    night_ids = [f"202501{day:02}T000000Z-1" for day in range(1, 11)]
    for batch_id in night_ids:
        at = f"2025-01-{batch_id[6:8]}"
        found = [{"reason": "bad_time", "action": "quarantined", "column_name": "", "n_rows": 1}]
        moved = [{"feature": "kinds", "value": 0, "threshold": 1, "compared_with": "x"}]
        row = [{"source": "a", "row": 1, "reason": "bad_time", "user_id": "u"}]
        counted = ("read", "excluded", "merged", "quarantined", "accepted", "carried", "users", "items")
        counts = {f"n_{of}": 0 for of in counted}
        read = {"batch_id": batch_id, "as_of": at, "input_hash": "h", "state": "refused", **counts}
        given = (read, found, moved, row)
        statement = "select record_input(%s, %s, %s, %s)"
        world.rows(statement, *(json.dumps(each) for each in given), role="recjobs_publisher")
        metric = {"model": "candidate", "segment": "all", "view": "discovery", "metric": "ndcg_at_20", "value": 1}
        verdict = {"decided_at": at, "verdict": "refused", "reason": "no", "metric": "ndcg_at_20"}
        given = (batch_id, json.dumps(verdict), json.dumps([metric]))
        world.rows("select record_night(%s, %s, %s)", *given, role="recjobs_publisher")
        world.rows("select record_report(%s, 'page')", batch_id, role="recjobs_publisher")
        world.rows("select note_step(%s, 'gate', 'done')", batch_id, role="recjobs_publisher")
    views = ("evaluations", "findings", "drift", "steps", "reports")

    def nights(view: str) -> list[str]:
        return [row["batch_id"] for row in world.rows(f"select batch_id from {view} order by 1")]

    publish(world, 1)  # of 2 January: what is live keeps all
    would = prune_of(world, "--dry-run").json["records"]
    assert {view: nights(view) for view in views} == dict.fromkeys(views, night_ids)
    went = prune_of(world).json["records"]
    kept = [night_ids[1], *night_ids[4:]]
    assert {view: nights(view) for view in views} == dict.fromkeys(views, kept)
    assert nights("rejected") == [night_ids[1], *night_ids[8:]]
    assert (nights("promotions"), nights("inputs")) == (night_ids, night_ids), "a row a night: for good"
    of_each = ("evaluation_records", "finding_records", "drift_records", "step_records", "report_records")
    assert went == would == dict.fromkeys(of_each, 3) | {"rejected_records": 7}
    assert prune_of(world).json["records"] == {}


def test_a_catalog_that_had_no_night_yet_has_nothing_to_prune(make_world: MakeWorld):
    world = make_world()
    done = prune_of(world)
    assert (done.json["pruned"], done.json["artifacts"], done.json["records"]) == ([], [], {})

"""`recjobs erase-user`: nothing of the person is left, others keep what they have, all hashes verify, and what was
killed goes on."""

import hashlib
import json
import os
import random
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import psycopg2
import pyarrow.parquet as pq
import pytest

from recjobs.adapters import exported_files
from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.adapters.migrations import migrate_catalog
from recjobs.adapters.postgres import Database
from recjobs.catalog.names import CatalogName
from recjobs.errors import Locked
from recjobs.night.erasures import unless_erased
from recjobs.night.handovers import INPUTS, Handovers
from recjobs.night.night import Night, registry
from tests.commands import Command, Kill
from tests.integration.test_backup import lose, recjobs, world_in_its_own_database
from tests.people import checksum_in_sql, night_of
from tests.worlds import EARLIER, MakeWorld, Postgres, World, handful, shop

PERSON = "o'h\"a & <7>"
ROWS = [(PERSON, "i1"), (PERSON, "i3"), ("a", "i1"), ("z", "i2"), ("z", "i3")]
FORMS = (PERSON, json.dumps(PERSON)[1:-1], "o&#39;h&#34;a &amp; &lt;7&gt;", PERSON.replace('"', '""'))
MOMENTS = (
    Kill("recjobs.operations.erase_tables:take_out", "after"),
    Kill("recjobs.adapters.ended_step:EndedStep._put", "after"),
    Kill("recjobs.operations.erase_user:replace_checksums", "before"),
    Kill("recjobs.operations.erase_user:_mlflow", "before"),
)


def two_nights(world: World) -> list[str]:
    first = night_of(world, 1, ROWS, PERSON)
    [champion] = world.rows("select batch_id, sha256, model_version from champion", role="recjobs_publisher")
    batches = [first, night_of(world, 2, ROWS, PERSON, champion)]
    logged = mlflow_folder(world)
    logged.mkdir(parents=True)
    model = world.step(batches[0], "refit", "model.npz")
    (logged / "model.npz").write_bytes(model.read_bytes())
    (logged / "report.html").write_bytes(world.step(batches[0], "report", "report.html").read_bytes())
    (logged / "MLmodel").write_text(f"config:\n  sha256: {digest_of(model)}\n")
    return batches


def mlflow_folder(world: World) -> Path:
    return world.artifacts / "_mlflow" / world.name / "run" / "artifacts"


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def erase(world: World, *arguments: str, user_id: str = PERSON):
    return recjobs(world, "erase-user", "--catalog", world.name, "--user-id", user_id, *arguments)


def texts_of(path: Path) -> str:
    """All that a file says, its columns and arrays decoded."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        return json.dumps([table.to_pylist(), str(table.schema.metadata)], default=str, ensure_ascii=False)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return " ".join(arrays[name].tobytes().decode("utf-8", "replace") for name in arrays.files)
    return path.read_bytes().decode("utf-8", "replace")


def found_in(world: World, forms: tuple[str, ...] = FORMS) -> list[str]:
    """Where the person stands, in any form: tables and their statistics, and files."""
    tables = world.rows(
        "select relname from pg_class where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p')",
        role="admin",
    )
    held = "exists (select from unnest(%s::text[]) as f (form) where {})"
    queries = [
        f"select '{name}' as place where exists (select from \"{name}\" as t where "
        + held.format("position(f.form in t::text) + position(f.form in to_jsonb(t)::text) > 0")
        + ")"
        for name in (row["relname"] for row in tables)
    ]
    values = "concat_ws(' ', most_common_vals, histogram_bounds, most_common_elems)"
    queries.append(
        f"select 'pg_stats of ' || tablename from pg_stats where schemaname = '{world.name}' and "
        + held.format(f"position(f.form in {values}) > 0")
    )
    parameters = [list(forms)] * len(queries)
    places = [str(row["place"]) for row in world.rows(" union all ".join(queries), *parameters, role="admin")]
    for path in world.artifacts.rglob("*"):
        text = texts_of(path) if path.is_file() else ""
        if any(form in text for form in forms):
            places.append(str(path))
    return sorted(set(places))


def others(world: World) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = world.rows(
        "select * from top_n where user_id <> %s order by batch_id, user_id", PERSON, role="admin"
    )
    return rows


def require_sound(world: World, batches: list[str], *, is_restored: bool = False) -> None:
    """Every hash that is noted anywhere is the one of the file or the lists."""
    store = ArtifactStore(str(world.artifacts), world.name)
    for batch_id in batches:
        night = Handovers(store.night(batch_id))
        for step in (
            "begin",
            "extract",
            "validate",
            "split",
            "train",
            "evaluate",
            "refit",
            "score",
            "inspect",
            "publish",
        ):
            for name in night.files.manifest(step):
                night.files.load_bytes(step, name)
        [batch] = world.rows("select checksum, n_users, n_interactions from batches where batch_id = %s", batch_id)
        assert batch == {"checksum": checksum_in_sql(world, batch_id), "n_users": 2, "n_interactions": 3}
        inspection, published = night.inspection(), night.files.load_json("publish", "published.json")
        assert (inspection.checksum, inspection.users, published["checksum"]) == (
            batch["checksum"],
            2,
            batch["checksum"],
        )
        sha256 = world.value("select sha256 from models where batch_id = %s", batch_id, role="admin")
        assert night.files.manifest("refit")["model.npz"] == sha256
        for step in INPUTS:
            manifest = night.files.stored_manifest(step)
            assert manifest["key"] == night.key_of(*INPUTS[step])
            if (path := world.step(batch_id, step, "checkpoint.json")).exists():
                checkpoint = json.loads(path.read_text())
                assert checkpoint["key"] == manifest["key"]
                assert checkpoint["files"].items() <= manifest["files"].items()
            else:
                assert is_restored, "a back-up holds no checkpoints"
        assert night.ids("users") == ["a", "z"]
        interactions = night.interactions()
        assert (interactions.user_idx.tolist(), interactions.n_users) == ([0, 1, 1], 2)
        model = night.refit_model()
        assert (model.user_ids, len(night.champion_recipe_fit()[0].user_factors)) == (["a", "z"], 2)
    assert digest_of(mlflow_folder(world) / "model.npz") in (mlflow_folder(world) / "MLmodel").read_text()
    request = Handovers(store.night(batches[1])).stored_request()
    assert request["champion"]["sha256"] == world.value(
        "select sha256 from models where batch_id = %s", batches[0], role="admin"
    )
    assert request["live_batch"]["checksum"] == checksum_in_sql(world, batches[0])


def test_nothing_is_left_of_a_person_and_others_keep_what_they_have(empty: World, tmp_path: Path):
    batches = two_nights(empty)
    before, raw = others(empty), found_in(empty)
    assert {"rejected_records", "report_records", "finding_records", "step_records"} <= set(raw), "the search finds it"
    assert any(place.startswith("pg_stats") for place in raw)
    assert {Path(place).name for place in raw} >= {"model.npz", "users.parquet", "inspection.json", "report.html"}
    dry = erase(empty, "--dry-run")
    assert (dry.code, dry.json["held"]["lists"], dry.json["held"]["quarantined"]) == (0, 2, 2)
    assert "nothing was erased" in dry.err
    assert (found_in(empty), others(empty)) == (raw, before)

    done = erase(empty)
    assert done.code == 0, done.err
    assert found_in(empty) == []
    assert others(empty) == before
    require_sound(empty, batches)
    assert PERSON not in done.out
    (tmp_path / "receipt.json").write_text(done.out)
    checked = recjobs(empty, "erase-user", "--check", str(tmp_path / "receipt.json"))
    [proof] = checked.json["receipts"]
    of_person = recjobs(empty, "audit", "--catalog", empty.name, "--user-id", PERSON).json["entries"]
    assert [entry["action"] for entry in of_person] == ["erase_user", "export_user"], "newest first, by a hash"
    assert (checked.code, proof["left_out"], proof["is_found"]) == (0, True, False)
    (tmp_path / "receipt.json").write_text(done.out.replace("held", "helt"))
    forged = recjobs(empty, "erase-user", "--check", str(tmp_path / "receipt.json"))
    assert (forged.code, "was changed" in forged.message) == (64, True)

    assert recjobs(empty, "roll-back", "--catalog", empty.name, "--reason", "a test").code == 0
    assert empty.rows("select user_id from served_lists order by 1") == [{"user_id": "a"}, {"user_id": "z"}]
    again = erase(empty)
    assert (again.code, again.json["files_rewritten"]) == (0, 0), "a second time there is nothing"


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".csv.gz"])
def test_exports_that_hold_the_person_are_removed_and_no_others(empty: World, tmp_path: Path, ending: str):
    person = "=o'h\"a & <7>"
    rows = [(person if user == PERSON else user, item) for user, item in ROWS]
    empty.write(handful([(user, item, 1.0) for user, item in rows]))
    night_of(empty, 1, rows, person)
    before, changed, after = (tmp_path / f"{name}{ending}" for name in ("before", "changed", "after"))
    for path in (before, changed):
        assert recjobs(empty, "export", "--catalog", empty.name, "--to", str(path)).code == 0
    changed.write_bytes(changed.read_bytes() + b"\n")
    done = erase(empty, user_id=person)
    assert (done.code, done.json["exports_removed"], done.json["unread"]) == (0, 1, []), done.err
    assert (before.exists(), changed.exists()) == (False, True), "one that was changed since is not ours any more"
    assert recjobs(empty, "export", "--catalog", empty.name, "--to", str(after)).code == 0
    again = erase(empty, user_id=person)
    assert (again.code, again.json["exports_removed"], after.exists()) == (0, 0, True)
    after.write_bytes(b"\xff damaged")
    exported_files.note(Path(empty.settings["RECJOBS_STATE"]), after, empty.name, time.time())
    damaged = erase(empty, user_id=person)
    assert (damaged.code, damaged.json["exports_removed"], after.exists()) == (0, 1, False)
    assert "which was removed" in damaged.json["unread"][0]


@pytest.mark.parametrize("kill", MOMENTS, ids=str)
def test_killed_at_any_moment_the_same_command_or_the_next_night_goes_on(empty: World, kill: Kill):
    batches = two_nights(empty)
    before = others(empty)
    arguments = ("erase-user", "--catalog", empty.name, "--user-id", PERSON, "--json")
    assert Command(arguments, empty.settings, kill).wait().code == -9
    assert others(empty) == before
    is_noted = empty.rows("select about from open_erasures", role="admin")
    assert is_noted == [{"about": PERSON}]
    done = erase(empty) if kill.when == "before" else recjobs(empty, "begin", "--catalog", empty.name)
    assert done.code == 0, done.err
    assert found_in(empty) == []
    require_sound(empty, batches)
    assert empty.rows("select * from open_erasures", role="admin") == []


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="20 kills: `make soak`")
def test_killed_twenty_times_at_random_it_ends_all_the_same(empty: World):
    batches = two_nights(empty)
    before, chance = others(empty), random.Random(7)
    arguments = ("erase-user", "--catalog", empty.name, "--user-id", PERSON, "--json")
    for _ in range(20):
        command = Command(arguments, empty.settings)
        time.sleep(chance.uniform(0.05, 1.5))
        command.kill()
        command.wait()
        assert others(empty) == before
    assert erase(empty).code == 0
    assert found_in(empty) == []
    require_sound(empty, batches)


def test_a_step_that_runs_is_waited_for_and_none_begins_meanwhile(empty: World):
    [first, _] = two_nights(empty)
    empty.rows("select note_step('20990101T000000Z-1', 'train', 'running')", role="recjobs_publisher")
    refused = erase(empty)
    assert (refused.code, "train of night 20990101T000000Z-1" in refused.message) == (75, True)
    assert empty.rows("select * from open_erasures", role="admin") == []
    assert len(empty.rows("select * from erased_people", role="admin")) == 1, "later nights leave the person out"
    with pytest.raises(psycopg2.Error, match="is only added to"):
        empty.rows("delete from erasure_records", role="admin")

    night = SimpleNamespace(catalog=CatalogName(empty.name), batch_id=first, store=None)
    empty.rows("insert into open_erasures (person) select person from erased_people", role="admin")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in empty.settings.items():
            patch.setenv(name, value)
        with pytest.raises(Locked, match="is being erased"), unless_erased(cast(Night, night), "train"):
            raise AssertionError("the step began")
        empty.rows("delete from open_erasures", role="admin")
        night.store = ArtifactStore(str(empty.artifacts), empty.name)
        with pytest.raises(Locked, match="it was undone"), unless_erased(cast(Night, night), "train"):
            empty.rows("insert into erased_people (person, salt) values (%s, %s)", "a" * 64, "b" * 64, role="admin")
    assert not night.store.night(first).is_done("train")
    assert erase(empty, "--ignore-running").code == 0


def test_nights_leave_the_person_out_though_the_source_still_has_them(empty: World):
    rows = [(user, f"i{n}", float(n)) for user in (PERSON, "a", "b") for n in range(4)]
    empty.write(handful(rows), limits={"min_interactions": 1})
    unknown = erase(empty)
    assert (unknown.code, {*unknown.json["held"].values()}) == (0, {0})
    assert "held nothing about this user id; nights leave it out" in unknown.err
    begun = recjobs(empty, "begin", "--catalog", empty.name)
    assert begun.code == 0, begun.err
    for step in ("extract", "validate"):
        done = recjobs(empty, step, "--catalog", empty.name, "--batch-id", begun.json["batch_id"])
        assert done.code == 0, done.err
    assert found_in(empty) == []
    night = Handovers(ArtifactStore(str(empty.artifacts), empty.name).night(begun.json["batch_id"]))
    counts, findings = night.input_account().counts, night.input_account().findings
    assert (counts["read"], counts["excluded"], counts["accepted"], night.ids("users")) == (12, 4, 8, ["a", "b"])
    assert [each["n_rows"] for each in findings if each["reason"] == "erased"] == [4]


def test_an_older_back_up_does_not_bring_the_person_back(postgres: Postgres, tmp_path: Path):
    world, place = world_in_its_own_database(postgres, tmp_path), tmp_path / "place"
    migrate_catalog(Database(world.postgres.cluster.url("recjobs_migrator"), world.name), "A shop for tests")
    batches = two_nights(world)
    assert recjobs(world, "back-up", "--to", str(place), "--keep", "3").code == 0
    done = erase(world)
    assert done.code == 0, done.err
    [backup] = done.json["backups"]
    assert (backup["place"], backup["keep"], len(backup["holds"]), backup["noted"]) == (str(place), 3, 1, True)
    [noted] = (place / "erasures" / world.name).iterdir()
    assert PERSON not in noted.read_text()
    lose(world)
    restored = recjobs(world, "restore", "--from", str(place / backup["holds"][0]))
    assert (restored.code, restored.json["erased_again"]) == (0, 1), restored.err
    assert found_in(world) == []
    require_sound(world, batches, is_restored=True)
    assert len(world.rows("select * from erased_people", role="admin")) == 1
    noted.write_text("{}")
    damaged = recjobs(world, "restore", "--from", str(place))
    assert (damaged.code, "an erasure is noted there" in damaged.message) == (65, True)


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="nights: `make soak`")
def test_the_next_nights_are_judged_by_the_champion_and_do_not_bring_the_person_back(make_world: MakeWorld):
    user_id, forms = "user003", ("user003",)
    world = make_world(shop())
    first = world.publish("--as-of", EARLIER)
    assert {Path(place).name for place in found_in(world, forms)} >= {
        "model.npz",
        "users.parquet",
        "top_n-00000.parquet",
    }
    before = world.rows("select * from top_n where user_id <> %s order by user_id", user_id, role="admin")
    done = erase(world, user_id=user_id)
    assert (done.code, done.json["unread"]) == (0, []), done.err
    assert found_in(world, forms) == []
    assert world.rows("select * from top_n order by user_id", role="admin") == before
    [champion] = world.rows("select batch_id, sha256 from champion", role="recjobs_publisher")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in world.settings.items():
            patch.setenv(name, value)
        assert registry(CatalogName(world.name)).version_of(first, champion["sha256"]), (
            "MLflow knows it by the hash of now"
        )
    assert world.night("--as-of", EARLIER).json["nothing_new"], "the night is known as it was"
    champions = []
    for as_of in ("2025-06-23", "2025-06-27"):
        night = world.night("--as-of", as_of)
        assert night.code == 0, night.err
        files = Handovers(ArtifactStore(str(world.artifacts), world.name).night(night.json["batch_id"]))
        champions.append(files.stored_request()["champion"]["sha256"])
        assert "erased" in {each["reason"] for each in files.input_account().findings}
        assert found_in(world, forms) == []
    assert champions[0] == champion["sha256"]


def test_every_catalog_at_once(empty: World):
    night_of(empty, 1, ROWS, PERSON)
    done = recjobs(empty, "erase-user", "--all-catalogs", "--user-id", PERSON, "--dry-run")
    assert done.code == 0, done.err
    held = {each["catalog"]: each["held"]["lists"] for each in done.json["receipts"]}
    assert held[empty.name] == 1
    assert recjobs(empty, "erase-user", "--user-id", PERSON).code == 64

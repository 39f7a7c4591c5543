"""Nights that stop, or do not begin: what is recorded of them, and what happens when they are started again."""

import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from recjobs.catalog.file import Catalog
from recjobs.catalog.names import CatalogName
from recjobs.errors import Superseded
from recjobs.night.runner import begin_night, latest_attempt, publish_night
from tests.commands import ROOT, Command, Kill, environment_of
from tests.worlds import EARLIER, MakeWorld, World, by_chance


def stopped(world: World) -> dict[str, str] | None:
    """What `recjobs status` says of the latest try at a night."""
    done = Command(("status", "--json"), world.settings).wait()
    assert done.code == 0, done.err
    found: dict[str, str] | None = done.json["catalogs"][world.name]["stopped"]
    return found


def test_why_a_night_did_not_begin_or_stopped_is_in_the_status_and_rejected_shows_that_night(make_world: MakeWorld):
    world = make_world(by_chance())
    good = world.recjobs("begin", "--json").json["batch_id"]
    for step in ("extract", "validate"):
        assert world.recjobs(step, "--batch-id", good).code == 0
    assert stopped(world) is None

    rows = world.data / "rows"
    rows.rename(world.data / "away")
    assert world.recjobs("begin").code == 65
    found = stopped(world)
    assert found is not None
    assert (found["step"], found["state"], found["batch_id"]) == ("begin", "refused", None)
    assert "rows/*.parquet" in found["reason"]

    (world.data / "away").rename(rows)
    refused = world.night("--as-of", "2001-01-01")
    assert refused.code == 65
    found = stopped(world)
    assert found is not None
    assert (found["step"], found["state"]) == ("validate", "refused")
    assert found["reason"] in refused.message
    # The refused night is of an earlier date than the one that was accepted before it.
    assert found["batch_id"] < good
    assert world.recjobs("rejected", "--json").json["batch_id"] == found["batch_id"]
    later = world.recjobs("begin", "--as-of", "2001-02-01", "--json").json["batch_id"]
    assert f"night {later} began later" in world.recjobs("rejected").err


def test_a_password_that_is_wrong_is_named_and_not_taken_for_a_catalog_that_is_new(empty: World):
    assert Command(("status", "--json"), empty.settings).wait().json["catalogs"][empty.name]["live"] is None
    wrong = re.sub(r":[^:@/]+@", ":wrong@", empty.settings["RECJOBS_PUBLISHER_URL"])
    done = Command(("status", "--json"), empty.settings | {"RECJOBS_PUBLISHER_URL": wrong}).wait()
    assert (done.code, "Postgres does not let" in done.json["catalogs"][empty.name]["error"]) == (0, True), done.out


def test_the_status_of_a_live_batch_imports_no_computing(rolling: World):
    command = [sys.executable, "-X", "importtime", "-m", "recjobs", "status", "--json"]
    environment = environment_of(rolling.settings)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert rolling.live() in done.stdout
    names = {line.split("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if line.count("|") == 2}
    assert "psycopg2" in names
    assert names & {"numpy", "pandas", "pyarrow", "scipy", "implicit", "mlflow", "sqlalchemy", "boto3"} == set()


def test_a_run_that_is_cleared_after_its_night_was_published_makes_no_other_batch(
    rolling: World, monkeypatch: pytest.MonkeyPatch
):
    for name, value in rolling.settings.items():
        monkeypatch.setenv(name, value)
    catalog = Catalog.model_validate(rolling.catalog | {"name": rolling.name})
    finished = {"batch_id": rolling.live(), "resumed": False, "nothing_new": True}
    assert begin_night(catalog, run_id="manual__1") == finished
    part = rolling.data / "rows" / "part-2.parquet"
    before = part.read_bytes()
    later = pd.read_parquet(part).tail(1).assign(at="2025-07-15T00:00:00Z", user="user001", item="item01")
    pd.concat([pd.read_parquet(part), later]).to_parquet(part, index=False)
    try:
        assert begin_night(catalog, run_id="manual__1") == finished
        another = begin_night(catalog, run_id="manual__2")
        assert another["batch_id"] > finished["batch_id"]
        assert begin_night(catalog, run_id="manual__2") == another | {"resumed": True}
        shutil.rmtree(rolling.artifacts / rolling.name / another["batch_id"])
    finally:
        part.write_bytes(before)


def test_a_night_that_was_overtaken_begins_again_by_itself_and_is_published(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
):
    overtaking = make_world()  # other tests count the batches of theirs
    overtaking.publish("--as-of", EARLIER)
    overtaking.publish()
    first = overtaking.value("select model_version from batches order by as_of limit 1")
    killed = overtaking.night("--set", "alpha=10.5", kill=Kill("recjobs.steps.publish:run"))
    assert killed.code == -9
    assert overtaking.recjobs("promote", "--model-version", first, "--reason", "it overtakes the night").code == 0
    overtaken = max(path.name for path in (overtaking.artifacts / overtaking.name).glob("2*"))
    for name, value in overtaking.settings.items():
        monkeypatch.setenv(name, value)
    catalog = CatalogName(overtaking.name)
    published = publish_night(catalog, overtaken)
    assert published["moved"]
    assert published["batch_id"] == overtaking.live() == latest_attempt(catalog, overtaken) > overtaken
    assert not publish_night(catalog, overtaken)["moved"], "a task that is tried again changes nothing"
    assert overtaking.recjobs("roll-back", "--reason", "it was right before").code == 0
    with pytest.raises(Superseded, match="was rolled back"):
        publish_night(catalog, overtaken)

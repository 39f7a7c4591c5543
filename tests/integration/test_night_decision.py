"""What follows from a verdict: a live batch that is kept, a person who is asked, a history of what was in charge."""

import subprocess
import sys
from datetime import datetime

import pytest

from tests.commands import ROOT, Done, Kill, environment_of
from tests.statsd_listener import StatsdListener
from tests.worlds import CATALOG, EARLIER, MakeWorld, World

ABSURD = ("--set", "factors=1", "--set", "regularization=1.0e+9", "--set", "alpha=1.0e-3")
"""A recipe whose candidate is refused."""
AS_GOOD = ("--set", "alpha=10.0001")
"""Another recipe that gives the same lists: the gate cannot tell."""
LATER = "2025-06-22"
GATE = CATALOG["gate"]


def in_charge(world: World) -> str | None:
    found: str | None = world.value("select model_version from champion", role="recjobs_publisher")
    return found


@pytest.fixture(scope="module")
def kept(make_world: MakeWorld) -> World:
    """A shop that keeps its lists when a candidate is refused, with a champion."""
    world = make_world(gate=GATE | {"on_refused": "keep"})
    world.publish("--as-of", EARLIER)
    return world


@pytest.fixture(scope="module")
def before(kept: World) -> dict[str, str]:
    """What that shop's tables held before the candidate was refused, hashed."""
    return tables(kept)


@pytest.fixture(scope="module")
def refused(kept: World, before: dict[str, str]) -> Done:
    """The night whose candidate was refused."""
    return kept.night(*ABSURD)


def tables(world: World) -> dict[str, str]:
    return dict(zip(World.TABLES.split(), world.everything().split(), strict=True))


def test_a_refused_candidate_may_leave_the_live_batch_in_place(kept: World, refused: Done):
    (live,) = kept.rows("select * from batches")
    assert refused.code == 0, refused.err
    assert set(refused.json["steps"]) == {"extract", "validate", "split", "train", "evaluate", "gate", "report"}
    assert refused.json["steps"]["report"]["refused_in_a_row"] == 1
    assert f"left out: the candidate was refused, {live['batch_id']} stays live" in refused.err
    assert live["is_live"]
    assert not kept.step(refused.json["batch_id"], "refit", "").exists()


def test_its_verdict_metrics_and_report_are_kept_all_the_same(kept: World, refused: Done):
    batch_id = refused.json["batch_id"]
    (verdict,) = kept.rows("select * from promotions where batch_id = %s", batch_id)
    assert (verdict["verdict"], verdict["kept_batch"]) == ("refused", kept.live())
    assert verdict["as_of"] == kept.value("select as_of from inputs where batch_id = %s", batch_id)
    assert verdict["checks"][0]["name"] == "sound"
    assert not verdict["checks"][0]["passed"]
    models = kept.rows("select distinct model from evaluations where batch_id = %s and view = 'repeats'", batch_id)
    assert {row["model"] for row in models} >= {"candidate", "champion", "neighbours", "popularity_30d"}
    page = kept.value("select html from reports where batch_id = %s", batch_id)
    assert f"The live batch <code>{kept.live()}</code> stays as it is" in page


def test_only_that_was_written_and_the_night_again_is_nothing_new(kept: World, before: dict[str, str], refused: Done):
    after = tables(kept)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"promotion_records", "evaluation_records", "report_records"}
    again = kept.night(*ABSURD)
    assert again.json["nothing_new"], again.json
    assert tables(kept) == after


def test_a_step_of_it_by_hand_says_what_stays(kept: World, refused: Done):
    batch_id = refused.json["batch_id"]
    for step in ("refit", "score", "inspect", "publish"):
        done = kept.recjobs(step, "--batch-id", batch_id, "--json")
        assert (done.code, done.json) == (0, {"kept": kept.live()}), done.err


def test_an_alias_that_went_astray_is_mended_by_the_next_night_and_counted(kept: World, refused: Done, mlflow_uri: str):
    """The report mends it where lists are kept, else publish does; see below."""
    import mlflow

    client = mlflow.MlflowClient(mlflow_uri)
    assert refused.json["steps"]["report"]["alias_mismatch"] == 0
    client.delete_registered_model_alias(kept.name, "champion")
    done = kept.night("--as-of", LATER, *ABSURD)
    assert done.json["steps"]["report"]["alias_mismatch"] == 1
    assert str(client.get_model_version_by_alias(kept.name, "champion").version) == in_charge(kept)

    client.delete_registered_model_alias(kept.name, "champion")
    forced = kept.night("--as-of", LATER, *ABSURD, "--force", "we want fresh lists")
    assert forced.json["steps"]["publish"] | {"alias_mismatch": 1, "moved": True} == forced.json["steps"]["publish"]
    assert str(client.get_model_version_by_alias(kept.name, "champion").version) == in_charge(kept)
    assert kept.live() == forced.json["batch_id"], "what was forced is published, with the champion's factors"
    assert kept.value("select model_version from batches where is_live") == in_charge(kept)


@pytest.fixture(scope="module")
def asking(make_world: MakeWorld) -> World:
    """A shop that asks a person where the gate cannot tell, with a champion."""
    world = make_world(gate=GATE | {"approval": "required"})
    world.publish("--as-of", EARLIER)
    return world


@pytest.fixture(scope="module")
def unanswered(asking: World) -> Done:
    """A night whose verdict is inconclusive, and whom nobody answered."""
    heard, waits = StatsdListener(), f"recjobs.{asking.name}.gate.awaits_approval"
    done = asking.night("--as-of", LATER, *AS_GOOD, **heard.settings)
    assert heard.all()[waits] == "0|g", "the last word: the night went on without an answer"
    heard.close()
    return done


def test_without_an_answer_the_champion_stays_and_the_command_says_how_to_approve(asking: World, unanswered: Done):
    assert unanswered.code == 0, unanswered.err
    batch_id = unanswered.json["batch_id"]
    assert f"recjobs approve --catalog {asking.name} --batch-id {batch_id} --reason R" in unanswered.err
    (verdict,) = asking.rows("select * from promotions where batch_id = %s", batch_id)
    assert (verdict["verdict"], verdict["inconclusive"], verdict["approval"]) == ("refused", True, None)
    numbers = unanswered.json["steps"]
    assert numbers["report"]["refused_in_a_row"] == 1
    assert asking.live() == batch_id, "with fresh lists of the champion's factors"
    assert asking.value("select count(*) from models", role="admin") == 1


def test_an_approval_that_comes_late_is_taken_by_the_same_night_again(
    asking: World, unanswered: Done, statsd: StatsdListener
):
    before, batch_id = in_charge(asking), unanswered.json["batch_id"]
    asked = ("--batch-id", batch_id, "--reason", "the lists are fresher", "--by", "ann", "--json")
    done = asking.recjobs("approve", *asked, **statsd.settings)
    assert statsd.all() == {f"recjobs.{asking.name}.gate.awaits_approval": "0|g"}
    assert (done.code, done.json["answer"], done.json["by"]) == (0, "approved", "ann"), done.err
    assert in_charge(asking) == before, "an answer alone changes nothing"

    again = asking.night("--as-of", LATER, *AS_GOOD)
    assert again.code == 0, again.err
    assert again.json["batch_id"] == f"{batch_id[:-1]}2"
    assert again.json["steps"]["publish"]["moved"]
    assert again.json["steps"]["report"]["refused_in_a_row"] == 0
    (verdict,) = asking.rows("select * from promotions where batch_id = %s", again.json["batch_id"])
    assert (verdict["verdict"], verdict["approval"]) == ("promoted", "approved")
    assert (verdict["approved_by"], verdict["approval_reason"]) == ("ann", "the lists are fresher")
    assert isinstance(verdict["approved_at"], datetime)
    assert verdict["reason"].startswith("approved by ann (the lists are fresher); the gate said: a changed recipe, not")
    assert in_charge(asking) == verdict["model_version"] != before
    assert asking.night("--as-of", LATER, *AS_GOOD).json["nothing_new"]


def asked_of_a_person(world: World, batch_id: str) -> str:
    """What Airflow's task shows."""
    code = (
        "from recjobs.catalog.files import load_catalog; from recjobs.operations import approve; "
        f"print(approve.question(load_catalog({world.name!r}), {batch_id!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment_of(world.settings), cwd=ROOT,
                          capture_output=True, text=True, check=True)  # fmt: skip
    return done.stdout


def test_an_answer_before_the_refit_is_taken_by_the_night_that_goes_on(asking: World):
    heard, waits = StatsdListener(), f"recjobs.{asking.name}.gate.awaits_approval"
    killed = asking.night("--set", "alpha=10.0002", kill=Kill("recjobs.steps.refit:run"), **heard.settings)
    assert killed.code == -9
    assert heard.all()[waits] == "1|g"
    batch_id = asking.value("select max(batch_id) from inputs")
    before = in_charge(asking)
    put = asked_of_a_person(asking, batch_id)
    assert "(`alpha=10.0002, not 10.0001`)" in put
    assert "Without an answer within 12 hours the champion stays" in put
    assert f"/reports/{asking.name}/{batch_id}" in put
    page = asking.value("select html from reports where batch_id = %s", batch_id)
    assert "<strong>awaiting approval</strong>" in page
    assert "<code>alpha=10.0002, not 10.0001</code>" in page
    done = asking.recjobs("approve", "--batch-id", batch_id, "--reason", "not now", "--by", "bob", "--refuse",
                          **heard.settings)  # fmt: skip
    assert done.code == 0, done.err
    assert heard.all() == {waits: "0|g"}
    heard.close()
    resumed = asking.night("--set", "alpha=10.0002")
    assert (resumed.json["batch_id"], resumed.json["resumed"]) == (batch_id, True)
    (verdict,) = asking.rows("select * from promotions where batch_id = %s", batch_id)
    assert (verdict["verdict"], verdict["approval"], verdict["approved_by"]) == ("refused", "refused", "bob")
    assert "refused by bob (not now)" in verdict["reason"]
    assert in_charge(asking) == before


def test_a_verdict_that_is_conclusive_asks_nobody(asking: World, published: World):
    first = asking.value("select min(batch_id) from batches")
    done = asking.recjobs("approve", "--batch-id", first, "--reason", "why not")
    assert done.code == 64
    assert f"nothing to approve in {first}: it is promoted" in done.message
    blank = asking.recjobs("approve", "--batch-id", first, "--reason", " ")
    assert blank.code == 64
    elsewhere = published.recjobs("approve", "--batch-id", published.live() or "", "--reason", "why not")
    assert elsewhere.code == 64


def test_the_history_says_what_was_in_charge_from_when_to_when_and_why(asking: World):
    """After the nights above, and a roll-back and a promotion by hand."""
    first, approved = (row["model_version"] for row in asking.rows("select model_version from champions"))
    earliest = asking.value("select min(batch_id) from batches")
    assert asking.recjobs("roll-back", "--batch-id", earliest, "--reason", "prices").code == 0
    assert asking.recjobs("promote", "--model-version", approved, "--reason", "merchandising").code == 0
    history = asking.rows("select * from champions order by in_charge_from")
    assert [(row["model_version"], row["how"]) for row in history] == [
        (first, "publish"), (approved, "publish"), (first, "roll_back"), (approved, "promote"),
    ]  # fmt: skip
    assert [row["in_charge_until"] for row in history] == [*(row["in_charge_from"] for row in history[1:]), None]
    assert [row["approved_by"] for row in history] == [None, "ann", None, None]
    assert history[0]["reason"].startswith("no champion yet, and better than")
    assert [row["reason"] for row in history[2:]] == ["prices", "merchandising"]
    assert {row["actor"] for row in history} == {"recjobs_publisher"}
    charges = asking.rows(
        "select model_version, in_charge_from, in_charge_until from promotions"
        " where verdict = 'promoted' order by as_of, batch_id"
    )
    assert [tuple(row.values()) for row in charges] == [
        (first, history[0]["in_charge_from"], history[2]["in_charge_until"]),
        (approved, history[1]["in_charge_from"], None),
    ]

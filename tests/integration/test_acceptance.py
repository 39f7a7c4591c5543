"""Smoke test, golden queries and load test pass against a sound deployment and find out broken ones."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from acceptance.__main__ import main
from acceptance.__main__ import run as run_command
from acceptance.deployment import Deployment
from acceptance.golden import GoldenFileError, read
from acceptance.load import Clients
from acceptance.smoke import Check, Wanted, run
from acceptance.visitors import NoVisitors, Visitors, catalog_of, users_in
from tests.commands import ROOT
from tests.faulty_proxy import faulty_proxy
from tests.replicas import Replica, unmeasured
from tests.webapp_credentials import KEY, KEYS
from tests.webapp_world import FIRST_NIGHT, SECOND_NIGHT, World, free_port, shop_batch

pytest_plugins = ["tests.webapp_fixtures"]

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GOLDEN = """
queries:
  - name: a customer gets a list of their own, with reasons and within a second
    get: /v1/{catalog}/recommendations?user_id=u0000&n=20
    expect: {contract: Recommendations, source: als, items: 20, sources: [als, pinned], within_ms: 10000}
  - name: the recalled item is shown to nobody
    get: /v1/{catalog}/popular?n=30
    expect: {source: popular, lacks: [item0], contains: [item1, item2], revalidates: true}
  - name: the campaign's item comes first
    get: /v1/{catalog}/popular?n=3
    expect: {first: {item_id: item200, source: pinned}}
  - name: an unknown catalog is named as such
    get: /v1/nowhere/popular
    expect: {status: 404, members: {error: {code: unknown_catalog}}}
  - name: two customers at once
    post: /v1/{catalog}/recommendations:batch
    body: {user_ids: [u0000, u0001], n: 3}
    send: {X-Request-ID: smoke-test}
    expect: {contract: RecommendationsOfMany, headers: {Content-Type: application/json}}
"""


@pytest.fixture(scope="module")
def replica(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """A web app with API keys and two more catalogs: `sound` is as it should be, `stale` was computed long ago."""
    for catalog, computed_at in (("sound", str(datetime.now(UTC))), ("stale", "2024-01-02T03:04:05Z")):
        world.make_catalog(catalog)
        for night in (FIRST_NIGHT, SECOND_NIGHT):
            batch = shop_batch(night)
            batch.computed_at = computed_at
            world.publish(catalog, batch)
        for rule in ({"kind": "block", "item_id": "item0"}, {"kind": "pin", "item_id": "item200", "place": 1}):
            world.sql("select add_rule(%s)", json.dumps(rule), role="recjobs_editor", catalog=catalog)
    patient = {"WEBAPP_STATEMENT_TIMEOUT_MS": "4000", "WEBAPP_REQUEST_TIMEOUT_MS": "5000"}
    settings = {"RECJOBS_COMMIT": COMMIT, "RECJOBS_API_KEYS": KEYS, **patient}
    replica = Replica(world, "smoke", tmp_path_factory.mktemp("smoke"), **settings)
    replica.wait_until_ready()
    yield replica
    assert replica.stop() == 0


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("golden") / "sound.yaml"
    path.write_text(GOLDEN)
    return path


def url_of(replica: Replica) -> str:
    return f"http://127.0.0.1:{replica.port}"


def failures(url: str, golden: Path, key: str | None = KEY, **wanted: Any) -> dict[str, str]:
    """The checks that fail, with what they say."""
    given = {"catalog": "sound", "commit": COMMIT[:12], "batch": SECOND_NIGHT, "golden": (golden,), **wanted}
    with Deployment(url, key) as deployment:
        checks: list[Check] = list(run(deployment, Wanted(**given)))
    return {check.name: check.detail for check in checks if not check.passed}


def smoke(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "acceptance", "smoke", *arguments]
    return subprocess.run(command, cwd=ROOT, env=unmeasured(settings), capture_output=True, text=True, check=False)


def test_a_sound_deployment_passes_and_a_pipeline_can_read_it(replica: Replica, golden: Path):
    settings = {"BASE_URL": url_of(replica), "API_KEY": KEY, "CATALOG": "sound", "COMMIT": COMMIT, "WAIT": "30"}
    done = smoke(BATCH=SECOND_NIGHT, GOLDEN=str(golden), **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert all(line.startswith("ok ") for line in lines[:-1]), done.stdout
    assert lines[-1] == f"{len(lines) - 1} passed"
    assert KEY not in done.stdout + done.stderr

    done = smoke("--json", **(settings | {"COMMIT": "fedcba9"}))
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert not found["passed"]
    assert [check["name"] for check in found["checks"] if not check["passed"]] == ["release"]
    assert len([name for name in (check["name"] for check in found["checks"]) if name.startswith("golden sound: ")]) > 5


def roll_back(world: World) -> None:
    world.sql("select roll_back(null, 'a test')", role="recjobs_publisher", catalog="sound")


def roll_forward(world: World) -> None:
    select = "select roll_back(%s, 'a test')"
    world.sql(select, SECOND_NIGHT, role="recjobs_publisher", catalog="sound")


def test_the_wrong_batch(world: World, replica: Replica, golden: Path):
    roll_back(world)
    try:
        found = failures(url_of(replica), golden)
    finally:
        roll_forward(world)
    assert found == {"batch of sound": f"batch {FIRST_NIGHT} is live, not {SECOND_NIGHT}"}

    def served_from_another_database(path: str, status: int, answer: Any) -> tuple[int, Any]:
        return status, answer | {"batch_id": FIRST_NIGHT} if "/popular" in path and status == 200 else answer

    with faulty_proxy(replica.port, served_from_another_database) as url:
        found = failures(url, golden)
    assert found == {"batch of sound": f"lists of batch {FIRST_NIGHT} are served, but {SECOND_NIGHT} is live"}


def empty(path: str, status: int, answer: Any) -> tuple[int, Any]:
    return status, answer | {"items": []} if isinstance(answer, dict) and "items" in answer else answer


def failing(path: str, status: int, answer: Any) -> tuple[int, Any]:
    return (500, {"error": {"code": "internal", "message": "?"}}) if path.startswith("/v1/sound/") else (status, answer)


def of_another_schema(path: str, status: int, answer: Any) -> tuple[int, Any]:
    for item in answer.get("items") or () if isinstance(answer, dict) else ():
        item["id"] = item.pop("item_id")
    return status, answer


@pytest.mark.parametrize(
    ("change", "check", "message"),
    [
        (empty, "lists of sound", r"GET /v1/sound/popular\?n=20 has an empty list \(source popular\)"),
        (failing, "lists of sound", r"GET /v1/sound/popular\?n=20 is 500: .*, not 200"),
        (of_another_schema, "lists of sound", r"is no Popular of this release: items/\d+: .*'(item_id|id)'"),
    ],
)
def test_broken_answers(replica: Replica, golden: Path, change: Any, check: str, message: str):
    with faulty_proxy(replica.port, change) as url:
        found = failures(url, golden)
    assert re.search(message, found[check])
    assert any(name.startswith("golden") for name in found), "the golden queries find it, too"
    assert not {"alive", "ready", "release"} & set(found)


def test_stale_lists(replica: Replica, golden: Path):
    found = failures(url_of(replica), golden, catalog="stale")
    assert list(found) == ["age of stale"]
    assert re.fullmatch(r"the lists are \d+\.\d hours old, at most 36 allowed", found["age of stale"])
    assert failures(url_of(replica), golden, catalog="stale", max_age_hours=1_000_000) == {}


def test_rules_that_do_not_hold(world: World, replica: Replica, golden: Path):
    rules = world.sql("select rule_id from rules where removed_at is null", role="recjobs_editor", catalog="sound")
    for rule in rules:
        world.sql("select remove_rule(%s, 'a test')", *rule, role="recjobs_editor", catalog="sound")
    try:
        found = failures(url_of(replica), golden)
    finally:
        for rule in rules:
            world.sql("select restore_rule(%s, 'a test')", *rule, role="recjobs_editor", catalog="sound")
    assert set(found) == {
        "golden sound: the recalled item is shown to nobody",
        "golden sound: the campaign's item comes first",
    }
    assert "has item0, which must not be in it" in found["golden sound: the recalled item is shown to nobody"]
    assert "first item: item_id: 'item0', not 'item200'" in found["golden sound: the campaign's item comes first"]


def test_another_commit_or_version(replica: Replica, golden: Path):
    found = failures(url_of(replica), golden, commit="fedcba9")
    assert found == {"release": f"commit {COMMIT} runs, not fedcba9"}
    found = failures(url_of(replica), golden, version="99.0")
    assert re.fullmatch(r"version \S+ runs, not 99\.0", found["release"])


def test_no_key_no_catalog_and_nobody_there(replica: Replica, golden: Path):
    found = failures(url_of(replica), golden, key=None)
    assert "is 401: " in found["release"]
    found = failures(url_of(replica), golden, catalog="nowhere")
    assert found.keys() == {"catalogs"}
    others = found["catalogs"].removeprefix("there is no catalog nowhere, only ").split(", ")
    assert {"empty", "shop", "sound", "stale"} <= set(others)  # and those of other tests
    found = failures(url_of(replica), golden, catalog="empty", batch=None)
    assert found["batch of empty"] == "nothing is published"
    found = failures(f"http://127.0.0.1:{free_port()}", golden)
    assert list(found) == ["alive"]
    assert "Connection refused" in found["alive"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("queries: [{name: x, get: /v1, expect: {statsu: 200}}]", r"queries\.0\.expect\.statsu: Extra inputs"),
        ("queries: [{name: x, get: /v1, expect: {contract: Poplar}}]", "'Poplar' is none of Error, Item"),
        ("queries: [{name: x, get: /v1, body: {}, expect: {}}]", "either `get`, or `post` with a `body`"),
        ("queries: []", "queries: "),
        ("queries: [", "cannot be read"),
    ],
)
def test_a_golden_file_that_cannot_be_used_is_named(tmp_path: Path, text: str, message: str):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(GoldenFileError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["smoke", "--max-age", "soon"], 64, "'soon' is not a valid float"),
        (["load", "--plan", "nowhere.json"], 64, "nowhere.json: cannot be read"),
        (["load", "--users", "nowhere.txt"], 1, "nowhere.txt: cannot be read"),
        (["traffic", "--base-url", "http://127.0.0.1:1"], 1, r"GET /info: no answer \(.*Connection refused"),
    ],
)
def test_what_cannot_be_used_or_asked_is_one_message(
    arguments: list[str], code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["acceptance", *arguments])
    with pytest.raises(SystemExit) as ended:
        run_command()
    assert ended.value.code == code
    assert re.fullmatch(f"error: .*{message}.*\n", capsys.readouterr().err)


def test_every_golden_file_of_ours_can_be_read():
    files = sorted((ROOT / "acceptance" / "golden").glob("*.yaml"))
    assert {"any", "sample"} <= {path.stem for path in files}
    assert all(read(path) for path in files)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Two seconds of load in the mix of ours, with limits that no busy machine breaks."""
    planned = json.loads((ROOT / "acceptance" / "load.json").read_text())
    planned["stages"] = [{"duration": "1s", "target": 40}, {"duration": "1s", "target": 40}]
    planned["thresholds"]["http_req_duration"] = ["p(99)<60000", "max<60000"]
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(planned))
    return path


def users_file(folder: Path) -> Path:
    path = folder / "users.txt"
    path.write_text("u0000\nu0001\nu0004\nu0008\n007\nstranger\n", encoding="utf-8")
    return path


def acceptance(*arguments: object, url: str) -> Any:
    environment = {"BASE_URL": url, "API_KEY": KEY, "CATALOG": "sound"}
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env=environment)


def test_a_load_test_keeps_its_thresholds_or_says_which_it_did_not(replica: Replica, plan: Path, tmp_path: Path):
    users = users_file(tmp_path)
    done = acceptance("load", "--plan", plan, "--users", users, url=url_of(replica))
    assert done.exit_code == 0, done.output
    assert "asking sound for 6 users; of 6 drawn, 5 are known to it" in done.output
    requests = re.search(r"in all: (\d+) requests \((\d+) 200(?:, \d+ 304)?\), 0 failed, p50 ", done.output)
    assert requests, done.output
    assert 25 < int(requests[1]) < 110, "60 are expected of a Poisson process"
    for threshold in (
        r"http_req_failed rate<0\.001: 0",
        r"dropped_iterations count<1: 0",
        r"http_req_duration max<60000",
    ):
        assert re.search(rf"^ok   {threshold}", done.output, re.MULTILINE), done.output

    def failing_guests(path: str, status: int, answer: Any) -> tuple[int, Any]:
        return (500, {}) if "guest-" in path or "/basket" in path else (status, answer)

    with faulty_proxy(replica.port, failing_guests) as url:
        done = acceptance("load", "--plan", plan, "--users", users, url=url)
        assert done.exit_code == 1
        assert re.search(r"^FAIL http_req_failed rate<0\.001: 0\.\d+$", done.output, re.MULTILINE), done.output
        assert re.search(r"the first failure: /v1/sound/(recommendations\?user_id=guest-|basket).* is 500", done.output)
    found = json.loads(acceptance("load", "--json", "--plan", plan, "--users", users, url=url_of(replica)).output)
    assert found["passed"]
    assert {threshold["metric"] for threshold in found["thresholds"]} == set(json.loads(plan.read_text())["thresholds"])


def test_a_deployment_that_is_too_slow_drops_what_it_cannot_take(replica: Replica, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("acceptance.load.MOST_WAITING", 3)
    clients = Clients(lambda: Deployment(url_of(replica), KEY), Visitors("sound", ["u0000"], ["item1"], {"list": 1}), 0)
    for _ in range(5):
        clients.send(time.monotonic())
    assert (clients.measured().dropped, clients.measured().dropped) == (2, 0)


def test_traffic_goes_on_through_failures_and_has_some_404(replica: Replica, tmp_path: Path):
    done = acceptance("traffic", "--rate", 60, "--seconds", 2, "--users", users_file(tmp_path), url=url_of(replica))
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if re.match(r"\d\d:\d\d:\d\d \d+ requests ", line)]
    assert len(lines) == 1
    assert ", 0 failed, " in lines[0]

    def away(path: str, status: int, answer: Any) -> tuple[int, Any]:
        return (503, {}) if "guest-" in path else (status, answer)

    with faulty_proxy(replica.port, away) as url:
        done = acceptance("traffic", "--rate", 60, "--seconds", 2, "--users", users_file(tmp_path), url=url)
    assert done.exit_code == 0
    assert re.search(r"\d+ 503", done.output), done.output


def test_nothing_is_sent_to_a_shop_without_lists_or_a_catalog_that_is_not_named(replica: Replica, tmp_path: Path):
    for catalog, message in (("empty", "is 503"), ("nowhere", "is 404")):
        done = acceptance("load", "--catalog", catalog, url=url_of(replica))
        assert isinstance(done.exception, NoVisitors)
        assert message in str(done.exception)
    with (
        Deployment(url_of(replica), KEY) as deployment,
        pytest.raises(NoVisitors, match=r"give CATALOG: .*shop, sound, "),
    ):
        catalog_of(deployment, None)
    (tmp_path / "nobody").write_text("\n")
    with pytest.raises(NoVisitors, match="names no user"):
        users_in(tmp_path / "nobody")

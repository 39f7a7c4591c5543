"""What there is to ask for: catalogs, categories, segments, batches with their verdicts; and which release answers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.commands import ROOT
from tests.webapp_credentials import KEY, KEYS, bearer
from tests.webapp_world import World, two_nights

pytest_plugins = ["tests.webapp_fixtures"]

SHOP = "20240101T000000Z-1"
REFUSED = "20240103T000000Z-2"
PROMOTION = {
    "verdict": "refused", "reason": "refused by alice (too risky)", "decided_at": "2024-01-04", "as_of": "2024-01-03",
    "metric": "ndcg_at_20", "candidate": 0.1, "champion": 0.2, "baseline": 0.15, "baseline_name": "popular_30",
    "diff": -0.5, "diff_low": -0.6, "diff_high": -0.4, "n_users": 321, "inconclusive": False, "approved_by": "alice",
    "approval": "refused", "approval_reason": "too risky",
    "kept_batch": "20240102T000000Z-1",
    "checks": [{"name": "popularity", "passed": False, "value": -0.3, "bound": 0.0}],
}  # fmt: skip
LEFT_OUT = {"as_of", "n_users", "checks", "reason"}
NDCG = {"model": "candidate", "segment": "all", "view": "seen", "metric": "ndcg_at_20"}
METRICS = [
    NDCG | {"value": 0.1, "low": 0.09, "high": 0.11},
    NDCG | {"metric": "coverage", "value": 0.5, "low": None, "high": None},
]


@pytest.fixture
def refused(world: World, nights: tuple[str, str]) -> Iterator[tuple[str, str, str]]:
    """The catalog `nights`, in which a third night was refused and kept the lists."""
    given = [REFUSED, json.dumps(PROMOTION), json.dumps(METRICS)]
    world.sql("select record_night(%s, %s, %s)", *given, role="recjobs_publisher", catalog="nights")
    yield (REFUSED, nights[1], nights[0])
    for table in ("promotion_records", "evaluation_records"):
        world.sql(f"delete from {table} where batch_id = %s", REFUSED, catalog="nights")


def get(client: FlaskClient, path: str) -> dict:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.json


def test_all_catalogs_are_named_published_or_not(client: FlaskClient):
    catalogs = {one["catalog"]: one["description"] for one in get(client, "/v1")["catalogs"]}
    assert catalogs["shop"] == "Tea & <cake>, a shop for tests"
    assert catalogs["empty"] == ""


def test_the_categories_are_those_that_have_a_popular_list(client: FlaskClient):
    answer = get(client, "/v1/shop/categories")
    assert (answer["catalog"], answer["batch_id"], answer["total"]) == ("shop", SHOP, 3)
    kinds = {one["category"]: one["n_items"] for one in answer["categories"]}
    assert kinds == {"kind 1": 3, "kind 2": 40, "Tea & <cake>": 5}
    assert list(kinds) == sorted(kinds)
    for category, n_items in kinds.items():
        shown = client.get("/v1/shop/popular", query_string={"category": category, "n": 30}).json["items"]
        assert len(shown) == min(30, n_items)


def test_the_segments_are_those_of_the_view(world: World, client: FlaskClient, nights: tuple[str, str]):
    rows = world.sql("select segment, n_items from segments order by segment", role="recjobs_reader", catalog="nights")
    answer = get(client, "/v1/nights/segments")
    assert [(one["segment"], one["n_items"]) for one in answer["segments"]] == rows
    assert {"all", "category:Tea", "segment:trade"} == {segment for segment, _ in rows}


def test_the_batches_are_listed_newest_first_with_their_verdicts(client: FlaskClient, refused: tuple[str, str, str]):
    answer = get(client, "/v1/nights/batches")
    assert [one["batch_id"] for one in answer["batches"]] == list(refused)
    assert answer["total"] == 3
    kept, live, past = answer["batches"]
    assert [one["is_live"] for one in answer["batches"]] == [False, True, False]
    assert [one["verdict"] for one in answer["batches"]] == ["refused", "promoted", "promoted"]
    assert (kept["kept_batch"], kept["model_version"], kept["published_at"]) == (live["batch_id"], None, None)
    assert kept["as_of"] == "2024-01-03T00:00:00Z"
    assert (live["model_version"], live["n_users"], live["kept_batch"]) == ("2", len(two_nights()[1].users), None)
    assert live["published_at"] > past["published_at"]


def test_a_batch_is_told_with_its_verdict_its_checks_and_its_metrics(
    client: FlaskClient, refused: tuple[str, str, str]
):
    answer = get(client, f"/v1/nights/batches/{REFUSED}")
    assert answer["catalog"] == "nights"
    assert {name: answer[name] for name in PROMOTION.keys() & answer.keys() - LEFT_OUT} == {
        name: PROMOTION[name] for name in PROMOTION.keys() & answer.keys() - LEFT_OUT
    }
    assert (answer["diff_low"], answer["diff"], answer["diff_high"], answer["n_holdout_users"]) == (
        -0.6,
        -0.5,
        -0.4,
        321,
    )
    assert answer["checks"] == [PROMOTION["checks"][0] | {"sentence": None}]
    assert answer["metrics"] == sorted(METRICS, key=lambda row: row["metric"])
    assert answer["reason"] is None
    assert "alice" not in json.dumps(answer), "who approved is for operators"
    live = get(client, f"/v1/nights/batches/{refused[1]}")
    assert (live["is_live"], live["verdict"], live["metrics"], live["checks"]) == (True, "promoted", [], None)
    assert live["code_version"] == "test"


def test_a_batch_without_a_verdict_has_none(client: FlaskClient):
    answer = get(client, f"/v1/shop/batches/{SHOP}")
    assert (answer["is_live"], answer["verdict"], answer["metrics"]) == (True, None, [])


@pytest.mark.parametrize(("catalog", "what"), [("shop", "categories"), ("nights", "segments"), ("nights", "batches")])
def test_what_is_listed_comes_in_pages(client: FlaskClient, refused: tuple[str, str, str], catalog: str, what: str):
    address = f"/v1/{catalog}/{what}"
    whole = get(client, address)
    assert whole["total"] == len(whole[what]) > 1
    pages = [get(client, f"{address}?n=1&offset={k}") for k in range(whole["total"])]
    assert [one for page in pages for one in page[what]] == whole[what]
    behind = get(client, f"{address}?offset={whole['total']}")
    assert (behind["total"], behind[what]) == (whole["total"], [])
    for query in ("n=0", "n=1001", "n=x", "offset=-1", "offset=1000000", "limit=5", "n=1&n=2", "batch_id=1"):
        refused_query = client.get(f"{address}?{query}")
        assert refused_query.status_code == 400, query
        assert query.partition("=")[0] in refused_query.json["error"]["message"]


@pytest.mark.parametrize("path", ["categories", "segments", "batches", f"batches/{SHOP}"])
def test_what_is_unknown_or_not_published_is_an_error_as_elsewhere(client: FlaskClient, path: str):
    for catalog, status, code in (("nowhere", 404, "unknown_catalog"), ("empty", 503, "nothing_published")):
        response = client.get(f"/v1/{catalog}/{path}")
        assert (response.status_code, response.json["error"]["code"]) == (status, code)
        assert (response.headers.get("Retry-After") is not None) == (status == 503)


@pytest.mark.parametrize("batch_id", ["20240109T000000Z-1", "nothing", "20240101T000000Z-1%20", "%00", "x" * 257])
def test_an_unknown_batch_is_404_and_no_id_is_400(client: FlaskClient, batch_id: str):
    response = client.get(f"/v1/shop/batches/{batch_id}")
    expected = (400, "bad_id") if batch_id == "%00" or len(batch_id) > 256 else (404, "unknown_batch")
    assert (response.status_code, response.json["error"]["code"]) == expected


def test_a_client_that_has_it_already_gets_304(client: FlaskClient):
    for path in ("/v1", "/v1/shop/categories", "/v1/shop/segments", "/v1/shop/batches", f"/v1/shop/batches/{SHOP}"):
        response = client.get(path)
        assert response.headers["Cache-Control"] == "public, no-cache"
        again = client.get(path, headers={"If-None-Match": response.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")


def test_info_names_version_commit_and_what_is_live(world: World):
    answer = get(world.client(commit="0123abcd"), "/info")
    assert answer.keys() == {"version", "commit", "live"}
    assert answer["version"] == "0.1.0"
    assert answer["commit"] == "0123abcd"
    assert answer["live"]["shop"] == SHOP
    assert answer["live"]["empty"] is None
    assert world.client().get("/info").headers["Cache-Control"] == "no-store"


def test_info_names_the_commit_of_the_checkout_if_no_setting_does(client: FlaskClient):
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert get(client, "/info")["commit"] == git.stdout.strip()


def test_info_is_answered_while_a_catalog_is_older_than_the_web_app(world: World):
    world.make_catalog("older")
    try:
        world.sql("drop view older.batches cascade")
        live = get(world.client(), "/info")["live"]
        assert (live["older"], live["shop"]) == (None, SHOP)
    finally:
        world.sql("drop schema older cascade")


def test_with_keys_all_of_it_needs_one(world: World):
    keyed = world.client(api_keys=KEYS)
    for path in ("/v1", "/info", "/v1/shop/categories", "/v1/shop/segments", f"/v1/shop/batches/{SHOP}"):
        refused = keyed.get(path)
        assert (refused.status_code, refused.json["error"]["code"]) == (401, "missing_credential"), path
        assert SHOP not in refused.text
        assert keyed.get(path, headers=bearer(KEY)).status_code == 200, path


def test_a_script_of_an_allowed_site_may_read_it(world: World):
    client = world.client(cors_origins="https://shop.example")
    for path in ("/v1", "/info", "/v1/shop/categories"):
        response = client.get(path, headers={"Origin": "https://shop.example"})
        assert response.headers["Access-Control-Allow-Origin"] == "https://shop.example", path


def test_the_commit_of_another_repository_around_the_installed_package_is_not_taken_for_ours(tmp_path: Path):
    code = "import sys, pathlib, webapp.api.release as r; print(repr(r.commit_of(pathlib.Path(sys.argv[1]))))"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    inner = tmp_path / "site-packages"
    inner.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(inner)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "''"

"""Who may do what over HTTP: every route and every method, for everybody, held against a literal table."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.webapp_credentials import OPERATORS, bearer, entry
from tests.webapp_world import World

pytest_plugins = ["tests.webapp_fixtures"]

PROXY, BATCH = "10.20.0.7", "20240101T000000Z-1"
ANYBODY = ("anonymous", "key", "other key", "viewer", "editor", "operator", "other operator")
"""`key` is one for the catalog shop; viewer, editor and operator are so there; the others are of another catalog, with
all rights in it."""
KEYS = {"key": "a key of shop", "other key": "a key of another catalog"}
GROUPS = {"viewer": "v", "editor": "e", "operator": "o", "other operator": "x"}
SETTINGS: dict[str, Any] = {
    "api_keys": f"{entry('app', KEYS['key'])}::shop {entry('mail', KEYS['other key'])}::empty",
    "operators": OPERATORS,
    "proxy_user": "X-Forwarded-User",
    "proxy_addresses": PROXY,
    "roles": "v=viewer:shop e=editor:shop o=operator:shop x=operator:empty",
}

OPEN = (200, 200, 200, 200, 200, 200, 200)
NO_PROVIDER = (404, 404, 404, 404, 404, 404, 404)
WITH_CREDENTIAL = (401, 200, 200, 200, 200, 200, 200)
OF_CATALOG = (401, 200, 403, 200, 200, 200, 403)
PAGE = (303, 303, 303, 200, 200, 200, 403)  # 303: to the sign-in
TABLE: dict[tuple[str, str], tuple[int, ...]] = {
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("GET", "/docs"): OPEN,
    ("GET", "/static/page.css"): OPEN,
    ("GET", "/sign-in"): OPEN,
    ("POST", "/sign-in"): (401, 401, 401, 401, 401, 401, 401),  # a wrong secret
    ("GET", "/sign-in/provider"): NO_PROVIDER,
    ("GET", "/sign-in/callback"): NO_PROVIDER,
    ("POST", "/sign-out"): (401, 401, 401, 303, 303, 303, 303),
    ("GET", "/info"): WITH_CREDENTIAL,
    ("GET", "/v1"): WITH_CREDENTIAL,
    ("GET", "/v1/shop/batches"): OF_CATALOG,
    ("GET", f"/v1/shop/batches/{BATCH}"): OF_CATALOG,
    ("GET", "/v1/shop/basket?item_id=item7"): OF_CATALOG,
    ("GET", "/v1/shop/categories"): OF_CATALOG,
    ("GET", "/v1/shop/segments"): OF_CATALOG,
    ("GET", "/v1/shop/popular"): OF_CATALOG,
    ("GET", "/v1/shop/recommendations?user_id=u0001"): OF_CATALOG,
    ("GET", "/v1/shop/users/u0001/recommendations"): OF_CATALOG,
    ("POST", "/v1/shop/recommendations:batch"): OF_CATALOG,
    ("GET", "/v1/shop/similar?item_id=item7"): OF_CATALOG,
    ("GET", "/v1/shop/items/item7/similar"): OF_CATALOG,
    ("GET", "/v1/shop/together?item_id=item7"): OF_CATALOG,
    ("GET", "/v1/shop/again?user_id=u0001"): OF_CATALOG,
    ("GET", "/v1/shop/trace?user_id=u0001&item_id=item7"): (401, 403, 403, 200, 200, 200, 403),
    ("GET", "/?catalog=shop"): PAGE,
    ("GET", "/customers?catalog=shop&user_id=u"): PAGE,
    ("GET", "/changes?catalog=shop"): PAGE,
    ("GET", "/runs?catalog=shop"): PAGE,
    ("GET", f"/reports/shop/{BATCH}"): (303, 303, 403, 200, 200, 200, 403),
    ("GET", "/rules?catalog=shop"): (303, 303, 303, 403, 200, 200, 403),
    # 400: let in, and told that the form says nothing to be done
    ("POST", "/rules"): (401, 401, 401, 403, 400, 400, 403),
    ("POST", "/rules/undo"): (401, 401, 401, 403, 400, 400, 403),
    ("POST", "/rules/restore"): (401, 401, 401, 403, 400, 400, 403),
    ("POST", "/runs/roll-back"): (401, 401, 401, 403, 403, 400, 403),
}
"""What each of ANYBODY gets, in that order."""


@pytest.fixture(scope="module")
def client(world: World) -> FlaskClient:
    patient = {"statement_timeout_ms": 50_000, "request_timeout_ms": 60_000, "page_timeout_ms": 60_000}
    url, editor = world.url("recjobs_web"), world.url("recjobs_editor")
    return world.client(database_url=url, editor_url=editor, **SETTINGS, **patient)


def of(who: str) -> dict[str, Any]:
    """The credential of somebody."""
    if who in KEYS:
        return {"headers": bearer(KEYS[who])}
    if who in GROUPS:
        named = {"X-Forwarded-User": who, "X-Forwarded-Groups": GROUPS[who]}
        return {"headers": named, "environ_overrides": {"REMOTE_ADDR": PROXY}}
    return {}


def status(client: FlaskClient, who: str, method: str, address: str, token: str) -> int:
    if address.endswith(":batch"):
        body: dict[str, Any] = {"json": {"user_ids": ["u0001"]}}
    else:
        body = {"data": {"catalog": "shop", "rule_id": "999999", "token": token}} if method == "POST" else {}
    return int(client.open(address, method=method, **of(who), **body).status_code)


def token_of(client: FlaskClient, who: str) -> str:
    if who not in GROUPS:
        return ""
    return re.findall(r'name="token" value="([^"]+)"', client.get("/", **of(who)).text)[0]


@pytest.mark.parametrize("who", ANYBODY)
def test_everybody_gets_at_every_route_what_the_table_says(client: FlaskClient, who: str):
    token, column = token_of(client, who), ANYBODY.index(who)
    found = {(method, address): status(client, who, method, address, token) for method, address in TABLE}
    assert found == {of_route: row[column] for of_route, row in TABLE.items()}


@pytest.mark.parametrize("who", ANYBODY)
def test_no_other_method_does_anything_for_anybody(client: FlaskClient, who: str):
    token, column = token_of(client, who), ANYBODY.index(who)
    taken = {(method, address.partition("?")[0]) for method, address in TABLE}
    for (known, address), row in TABLE.items():
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"):
            if (method, address.partition("?")[0]) not in taken:
                refused = status(client, who, method, address, token)
                to_sign_in = {303} if method == "GET" and who not in GROUPS else set()
                assert refused in {401, 403, 405} | to_sign_in, (method, address, refused)
        if known == "GET":
            assert status(client, who, "HEAD", address, token) == row[column], address
        asked = client.open(address, method="OPTIONS", **of(who))
        assert (asked.status_code, asked.text) == (200, ""), address


def test_the_table_has_every_route_with_every_method_that_it_takes(client: FlaskClient):
    routes = client.application.url_map.bind("localhost")
    covered = {routes.match(address.partition("?")[0], method=method)[0] for method, address in TABLE}
    assert {rule.endpoint for rule in client.application.url_map.iter_rules()} - covered == set()
    for rule in client.application.url_map.iter_rules():
        assert (rule.methods or set()) - {"HEAD", "OPTIONS"} <= {"GET", "POST"}, rule
        assert len((rule.methods or set()) & {"GET", "POST"}) == 1, rule


def test_a_guard_that_is_forgotten_is_seen(world: World):
    """A planted route that changes things and asks nobody; and one of a page whose role is too low."""
    planted = world.client(**SETTINGS)
    planted.application.add_url_rule("/v1/<catalog>/wipe", "wipe", lambda catalog: "done", methods=["DELETE"])
    assert planted.delete("/v1/empty/wipe", **of("key")).status_code == 403, "the catalog in the address is checked"
    assert planted.delete("/v1/shop/wipe", **of("viewer")).status_code == 200
    rules = {rule.endpoint for rule in planted.application.url_map.iter_rules()}
    bound = planted.application.url_map.bind("localhost")
    covered = {bound.match(address.partition("?")[0], method=method)[0] for method, address in TABLE}
    assert rules - covered == {"wipe"}, "what the test above would say"

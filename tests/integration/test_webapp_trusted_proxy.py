"""People for whom a proxy vouches by a header: believed from the proxy's address alone; and plain HTTP, refused."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.webapp_credentials import KEY, OPERATORS, bearer, entry, sign_in
from tests.webapp_world import World
from webapp.settings import Settings, SettingsError

pytest_plugins = ["tests.webapp_fixtures"]

PROXY, ELSEWHERE = "10.20.0.7", "10.20.0.8"
LIST = "/v1/shop/recommendations?user_id=u0001"
RULES = "/rules?catalog=shop"
GIVEN: dict[str, Any] = {
    "proxy_user": "X-Forwarded-User",
    "proxy_addresses": f"{PROXY}, 10.30.0.0/16 fd00::/64",
    "roles": "readers=viewer:shop sellers=editor:shop admins=operator",
    "api_keys": entry("app", KEY),
}


def client_of(world: World, **settings: Any) -> FlaskClient:
    return world.client(**(GIVEN | {"editor_url": world.url("recjobs_editor")} | settings))


def by(user: str | None, groups: str | None, peer: str = PROXY, **more: str) -> dict[str, Any]:
    """How a request comes: its headers, and whose connection it is."""
    named = {"X-Forwarded-User": user, "X-Forwarded-Groups": groups} | more
    return {
        "headers": {name: value for name, value in named.items() if value is not None},
        "environ_overrides": {"REMOTE_ADDR": peer},
    }


@pytest.mark.parametrize("peer", [PROXY, "10.30.7.7", f"::ffff:{PROXY}", "fd00::9"])
def test_whom_the_proxy_names_has_the_roles_of_their_groups(world: World, peer: str):
    client = client_of(world)
    for groups, reads, edits in (("readers", 200, 403), ("others, sellers", 200, 200), ("admins", 200, 200)):
        asked = by("erin@shop.example", groups, peer)
        assert client.get("/?catalog=shop", **asked).status_code == reads, groups
        assert client.get(LIST, **asked).status_code == reads, groups
        assert client.get(RULES, **asked).status_code == edits, groups
        assert client.get("/v1/empty/popular", **asked).status_code == (503 if groups == "admins" else 403), groups
    assert "erin@shop.example" in client.get(RULES, **by("erin@shop.example", "sellers", peer)).text


@pytest.mark.parametrize("forwarded", [None, PROXY])
@pytest.mark.parametrize("proxies", [0, 1])
@pytest.mark.parametrize("peer", [ELSEWHERE, "127.0.0.1", "::1", ""])
def test_a_header_from_elsewhere_is_refused_whatever_it_says_of_its_way(
    world: World, peer: str, proxies: int, forwarded: str | None
):
    client = client_of(world, proxies=proxies)
    more = {"X-Forwarded-For": forwarded} if forwarded else {}
    for user, groups in (("erin", "admins"), (None, "admins"), ("erin", None)):
        for address in ("/?catalog=shop", LIST, RULES, "/v1", "/info"):
            refused = client.get(address, **by(user, groups, peer, **more))
            assert refused.status_code == 403, (address, user)
        assert client.get(LIST, **by(user, groups, peer, **bearer(KEY), **more)).status_code == 403
    assert client.get(LIST, **by("erin", "admins", peer)).json["error"]["code"] == "not_the_proxy"
    assert client.get("/healthz", **by("erin", "admins", peer)).status_code == 200
    assert client.get(LIST, **by(None, None, peer, **bearer(KEY))).status_code == 200, "programs go on"


@pytest.mark.parametrize(
    ("user", "groups", "code"),
    [
        ("erin", "others", "no_role"), ("erin", "", "no_role"), ("erin", None, "no_role"),
        ("erin", "Admins", "no_role"),
        ("mallory,erin", "admins", "no_person"), ("", "admins", "no_person"), (None, "admins", "no_person"),
        ("x" * 101, "admins", "no_person"), ("e\x7frin", "admins", "no_person"), ("  ", "admins", "no_person"),
    ],
)  # fmt: skip
def test_who_has_no_group_or_no_name_is_let_in_nowhere(world: World, user: str | None, groups: str | None, code: str):
    refused = client_of(world).get(LIST, **by(user, groups))
    assert (refused.status_code, refused.json["error"]["code"]) == (403, code)


def test_without_a_name_or_a_key_nothing_is_read_and_the_way_to_sign_in_is_shown(world: World):
    client = client_of(world, url="http://lists.example.com", hosts="localhost")
    for peer in (PROXY, ELSEWHERE):
        assert client.get(LIST, **by(None, None, peer)).status_code == 401
        assert client.get("/?catalog=shop", **by(None, None, peer)).status_code == 303
    assert "http://lists.example.com" in client.get("/sign-in").text


def test_a_form_is_of_the_person_for_whom_it_was_made(world: World):
    client = client_of(world)
    page = client.get(RULES, **by("erin", "sellers")).text
    form = {"catalog": "shop", "rule_id": "999999", "token": re.search(r'name="token" value="([^"]+)"', page)[1]}
    assert client.post("/rules/undo", data=form, **by("mallory", "sellers")).status_code == 403
    assert client.post("/rules/undo", data=form | {"token": ""}, **by("erin", "sellers")).status_code == 403
    assert client.post("/rules/undo", data=form, **by("erin", "readers")).status_code == 403, "the role of this moment"
    undone = client.post("/rules/undo", data=form, **by("erin", "sellers"))
    assert (undone.status_code, "there is no rule 999999" in undone.text) == (400, True)


def test_operators_sign_in_beside_the_proxy_and_without_the_setting_no_header_counts(world: World):
    beside = client_of(world, operators=OPERATORS)
    assert sign_in(beside) == 303
    assert beside.get(RULES).status_code == 200
    without = world.client(api_keys=entry("app", KEY), operators=OPERATORS)
    assert without.get(RULES, **by("erin", "admins")).status_code == 303
    assert without.get(LIST, **by("erin", "admins")).status_code == 401


def test_plain_http_is_redirected_or_refused_where_https_is_asked_for(world: World):
    client = world.client(
        url="https://lists.example.com", hosts="localhost", proxies=1, https_only=True, api_keys=entry("app", KEY)
    )
    plain, safe = bearer(KEY), bearer(KEY) | {"X-Forwarded-Proto": "https"}
    for headers in (plain, plain | {"X-Forwarded-Proto": "http"}):
        moved = client.get("/?catalog=shop&user_id=a%20b", headers=headers)
        assert (moved.status_code, moved.location) == (308, "https://lists.example.com/?catalog=shop&user_id=a%20b")
        for address in (LIST, "/v1/shop/popular", "/info"):
            assert client.get(address, headers=headers).json["error"]["code"] == "https_only", address
        assert client.post("/sign-in", headers=headers, data={"name": "a", "secret": "b"}).status_code == 403
        assert client.get("/healthz", headers=headers).status_code == 200
    assert client.get(LIST, headers=safe).status_code == 200
    assert client.get("/?catalog=shop", headers=safe).status_code != 308


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"WEBAPP_PROXY_ADDRESSES": None}, "needs WEBAPP_PROXY_ADDRESSES"),
        ({"WEBAPP_PROXY_ADDRESSES": ""}, "set but empty"),
        ({"WEBAPP_PROXY_ADDRESSES": "proxy.internal"}, "no address or network"),
        ({"WEBAPP_PROXY_ADDRESSES": "10.0.0.1/8"}, "no address or network"),
        ({"WEBAPP_ROLES": None}, "WEBAPP_ROLES"),
        ({"WEBAPP_PROXY_USER": "X Forwarded User"}, "no name of a header"),
        ({"WEBAPP_PROXY_USER": "X_Forwarded_User"}, "no name of a header"),
        ({"WEBAPP_PROXY_USER": ""}, "set but empty"),
        ({"WEBAPP_HTTPS_ONLY": "true"}, "WEBAPP_HTTPS_ONLY needs WEBAPP_PROXIES"),
    ],
)
def test_a_setting_with_which_everybody_could_be_anybody_stops_the_start(settings: dict[str, str | None], message: str):
    given = {
        "RECJOBS_WEB_URL": "postgresql://localhost/none", "WEBAPP_PROXY_USER": "X-Forwarded-User",
        "WEBAPP_PROXY_ADDRESSES": PROXY, "WEBAPP_ROLES": "admins=operator",
    } | settings  # fmt: skip
    with pytest.raises(SettingsError, match=re.escape(message)):
        Settings.load({name: value for name, value in given.items() if value is not None})

"""People who sign in by an identity provider, and what each role may do in which catalog."""

import logging
import re
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from joserfc.jwk import RSAKey

from tests import oidc_provider
from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider
from tests.webapp_credentials import KEY, OPERATORS, SECRET, bearer, entry, sign_in
from tests.webapp_world import World
from webapp.access import sign_in_cookies
from webapp.roles import parse_roles
from webapp.settings import Settings, SettingsError

pytest_plugins = ["tests.webapp_fixtures"]

ADDRESS = "/v1/shop/recommendations?user_id=u0001"
ROLES = "readers=viewer:shop+empty sellers=editor:shop admins=operator both=viewer:empty both=operator:shop"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with oidc_provider.running() as known:
        yield known


@pytest.fixture(autouse=True)
def _as_at_first(provider: Provider) -> None:
    provider.person = {"sub": "1", "preferred_username": "erin", "groups": ["admins"]}
    provider.claims, provider.header, provider.signing_key, provider.is_away = {}, {}, None, False


def client_of(world: World, provider: Provider, **settings: object) -> FlaskClient:
    given = {
        "oidc_issuer": provider.url,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET,
        "roles": ROLES,
        "editor_url": world.url("recjobs_editor"),
    }
    return world.client(**(given | settings))


def callback(client: FlaskClient, back: str = "/") -> str:
    """Go to the provider; return the address at which the browser comes back."""
    to_provider = client.get("/sign-in/provider", query_string={"back": back})
    assert to_provider.status_code == 302
    assert "code_challenge_method=S256" in to_provider.location
    location = requests.get(to_provider.location, allow_redirects=False, timeout=30).headers["Location"]
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}"


def enter(client: FlaskClient, groups: object = ("admins",), provider: Provider | None = None) -> int:
    if provider is not None:
        provider.person = provider.person | {"groups": groups}
    return client.get(callback(client)).status_code


def test_nobody_reads_anything_before_signing_in(world: World, provider: Provider):
    client = client_of(world, provider)
    for address in ("/?catalog=shop", "/runs?catalog=shop", "/changes?catalog=shop", "/rules?catalog=shop"):
        asked = client.get(address)
        assert (asked.status_code, asked.location.startswith("/sign-in?")) == (303, True), address
    for address in (ADDRESS, "/v1/shop/popular", "/v1", "/info"):
        assert client.get(address).status_code == 401, address
    form = client.get("/sign-in").text
    assert urlsplit(provider.url).netloc in form
    assert 'name="secret"' not in form, "no operators of its own"


def test_a_person_signs_in_comes_back_and_signs_out(world: World, provider: Provider):
    client = client_of(world, provider)
    came_back = client.get(callback(client, "/rules?catalog=shop"))
    assert came_back.status_code == 200
    assert 'content="0; url=/rules?catalog=shop"' in came_back.text, "a redirect would lose the cookie: SameSite=Strict"
    (cookie,) = [one for one in came_back.headers.getlist("Set-Cookie") if one.startswith("recjobs_operator=")]
    assert {"HttpOnly", "SameSite=Strict", "Max-Age=3600"} <= {part.strip() for part in cookie.split(";")}
    page = client.get("/rules?catalog=shop")
    assert (page.status_code, "erin" in page.text) == (200, True)
    assert client.get(ADDRESS).status_code == 200
    kept = client.get_cookie("recjobs_operator").value
    token = re.search(r'name="token" value="([^"]+)"', page.text)[1]
    assert client.post("/sign-out", data={"token": token}).status_code == 303
    assert client.get("/rules?catalog=shop").status_code == 303
    client.set_cookie("recjobs_operator", kept)
    assert client.get("/rules?catalog=shop").status_code == 303, "a copy of the cookie is of no use"


READ, CHANGE, ROLL_BACK = ("GET", "/?catalog={}"), ("GET", "/rules?catalog={}"), ("POST", "/runs/roll-back")
CHANGES = ("POST", "/rules"), ("POST", "/rules/undo"), ("POST", "/rules/restore")
OF_API = ("GET", "/v1/{}/popular"), ("GET", "/v1/{}/recommendations?user_id=u0001"), ("GET", "/v1/{}/batches")


@pytest.mark.parametrize(
    ("groups", "catalog", "reads", "edits", "operates"),
    [
        (["readers"], "shop", True, False, False),
        (["readers"], "empty", True, False, False),
        (["readers"], "nowhere", False, False, False),
        (["sellers"], "shop", True, True, False),
        (["sellers"], "empty", False, False, False),
        ("admins", "shop", True, True, True),
        (["other", "admins"], "empty", True, True, True),
        (["both"], "shop", True, True, True),
        (["both"], "empty", True, False, False),
        (["both", "sellers"], "shop", True, True, True),
    ],
)
def test_what_each_role_may_do_in_which_catalog(
    world: World, provider: Provider, groups: object, catalog: str, reads: bool, edits: bool, operates: bool
):
    client = client_of(world, provider)
    assert enter(client, groups, provider) == 200
    for method, address in (READ, ("GET", "/runs?catalog={}"), ("GET", "/changes?catalog={}"), *OF_API):
        status = client.open(address.format(catalog), method=method).status_code
        assert (status != 403) == reads, (address, status)
    trace = client.get(f"/v1/{catalog}/trace?user_id=u0001&item_id=i001")
    assert (trace.status_code != 403) == reads
    assert (client.get(f"/rules?catalog={catalog}").status_code == 200) == edits
    token = re.search(r'name="token" value="([^"]+)"', client.get("/").text)[1]
    form = {"catalog": catalog, "token": token, "rule_id": "999999", "kind": "block", "batch_id": "20240101T000000Z-1"}
    for method, address in CHANGES:
        status = client.open(address, method=method, data=form).status_code
        assert status == (400 if edits else 403), (address, status)
    status = client.open(ROLL_BACK[1], method="POST", data=form | {"why": "x", "sure": "yes"}).status_code
    assert (status != 403) == operates, status
    named = [each["catalog"] for each in client.get("/v1").json["catalogs"]]
    assert (catalog in named) == (reads and catalog != "nowhere")


def test_who_is_of_no_group_that_is_named_is_let_in_nowhere(world: World, provider: Provider):
    for groups in ([], ["others"], None, "", "Admins", {"admins": 1}, 7, ["", None, 3, ["admins"]]):
        client = client_of(world, provider)
        provider.person = {"sub": "2", "groups": groups}
        assert client.get(callback(client)).status_code in (401, 403), groups
        assert client.get("/?catalog=shop").status_code == 303


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"aud": "another"}, id="wrong audience"),
        pytest.param({"aud": None}, id="no audience"),
        pytest.param({"iss": "https://elsewhere.example"}, id="wrong issuer"),
        pytest.param({"iss": None}, id="no issuer"),
        pytest.param({"iat": time.time() - 3600, "exp": time.time() - 600}, id="expired"),
        pytest.param({"exp": None}, id="never expires"),
        pytest.param({"nonce": "of another sign-in"}, id="replayed from another sign-in"),
        pytest.param({"nonce": None}, id="no nonce"),
        pytest.param({"sub": None}, id="nobody"),
        pytest.param({"iat": 4_000_000_000}, id="of the future"),
    ],
)
def test_a_token_that_is_not_for_us_here_and_now_is_refused(
    world: World, provider: Provider, claims: dict[str, object], caplog: pytest.LogCaptureFixture
):
    client = client_of(world, provider)
    provider.claims = claims
    address = callback(client)
    assert client.get(address).status_code == 401
    assert client.get("/?catalog=shop").status_code == 303
    assert "a sign-in by 127.0.0.1" in caplog.text


def test_a_token_that_another_key_signed_is_refused_and_a_rotated_key_is_not(world: World, provider: Provider):
    client = client_of(world, provider)
    assert enter(client) == 200
    provider.signing_key = RSAKey.generate_key(2048, {"kid": "stolen", "use": "sig", "alg": "RS256"})
    assert enter(client_of(world, provider)) == 401
    provider.header = {"kid": "stolen"}
    assert enter(client) == 401
    provider.signing_key, provider.header = None, {}
    provider.rotate()
    assert enter(client) == 200, "the new key is fetched"


def test_an_answer_of_the_provider_is_used_once_and_by_whom_it_was_for(world: World, provider: Provider):
    client = client_of(world, provider)
    address = callback(client)
    other = client.application.test_client()
    assert other.get(address).status_code == 401, "another browser: no state"
    assert client.get(address).status_code == 200
    assert client.get(address).status_code == 401, "replayed"
    first = callback(client)
    callback(client)
    assert client.get(first).status_code == 401, "a sign-in that was begun again"
    for address in ("/sign-in/callback", "/sign-in/callback?error=access_denied", "/sign-in/callback?code=a&state=b"):
        assert client.get(address).status_code == 401, address


def test_a_role_that_is_taken_away_ends_with_the_sign_in_after_an_hour(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
):
    client = client_of(world, provider)
    assert enter(client, ["sellers"], provider) == 200
    assert client.get("/rules?catalog=shop").status_code == 200
    monkeypatch.setattr(sign_in_cookies, "PROVIDER_MAX_AGE_SECONDS", -1)
    assert client.get("/rules?catalog=shop").status_code == 303
    monkeypatch.undo()
    assert enter(client, ["readers"], provider) == 200
    assert client.get("/rules?catalog=shop").status_code == 403


def test_cookies_by_a_provider_are_worth_nothing_where_there_is_none(world: World, provider: Provider):
    key = "k" * 32
    client = client_of(world, provider, secret_key=key)
    assert enter(client) == 200
    cookie = client.get_cookie("recjobs_operator").value
    without = world.client(operators=OPERATORS, secret_key=key, api_keys=entry("app", KEY))
    without.set_cookie("recjobs_operator", cookie)
    assert without.get("/rules?catalog=shop").status_code == 303


def test_the_key_of_cookies_can_be_rotated(world: World, provider: Provider):
    old, new = "o" * 32, "n" * 32
    client = client_of(world, provider, secret_key=old)
    assert enter(client) == 200
    cookie = client.get_cookie("recjobs_operator").value
    for keys, status in ((f"{new},{old}", 200), (f"{new} {old}", 200), (new, 303)):
        rotated = client_of(world, provider, secret_key=keys)
        rotated.set_cookie("recjobs_operator", cookie)
        assert rotated.get("/rules?catalog=shop").status_code == status, keys
    both = client_of(world, provider, secret_key=f"{new},{old}")
    assert enter(both) == 200
    last = client_of(world, provider, secret_key=new)
    last.set_cookie("recjobs_operator", both.get_cookie("recjobs_operator").value)
    assert last.get("/rules?catalog=shop").status_code == 200, "the first one signs"


def test_keys_and_operators_go_on_beside_a_provider(world: World, provider: Provider):
    client = client_of(world, provider, api_keys=entry("app", KEY), operators=OPERATORS)
    assert client.get(ADDRESS, headers=bearer(KEY)).status_code == 200
    assert client.get(ADDRESS, headers=bearer(SECRET)).status_code == 200
    assert sign_in(client) == 303
    assert client.get("/rules?catalog=shop").status_code == 200


def test_a_provider_that_is_away_is_503_and_keys_go_on(world: World, provider: Provider):
    client = client_of(world, provider, api_keys=entry("app", KEY))
    provider.is_away = True
    assert client.get("/sign-in/provider").status_code == 503
    assert client.get(ADDRESS, headers=bearer(KEY)).status_code == 200
    provider.is_away = False
    address = callback(client)
    provider.is_away = True
    assert client.get(address).status_code in (401, 503)
    provider.is_away = False
    assert enter(client) == 200


def test_back_leads_to_our_own_pages_only(world: World, provider: Provider):
    client = client_of(world, provider)
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        page = client.get(callback(client, back))
        assert "evil" not in page.text
        assert "javascript" not in page.text
        assert "url=/" in page.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"WEBAPP_OIDC_CLIENT_ID": None}, "WEBAPP_OIDC_CLIENT_ID"),
        ({"WEBAPP_ROLES": None}, "WEBAPP_ROLES"),
        ({"WEBAPP_ROLES": "admins=owner"}, "roles are viewer, editor, operator"),
        ({"WEBAPP_ROLES": "admins"}, "GROUP=ROLE"),
        ({"WEBAPP_ROLES": ""}, "set but empty"),
        ({"WEBAPP_OIDC_ISSUER": "http://login.example.com"}, "must be https"),
        ({"WEBAPP_OIDC_ISSUER": "login.example.com"}, "WEBAPP_OIDC_ISSUER"),
        ({"WEBAPP_OIDC_ISSUER": ""}, "set but empty"),
        ({"WEBAPP_OIDC_ISSUER": "https://us:kkkk@login.example.com"}, "no user and no password"),
        ({"WEBAPP_SECRET_KEY": f"{'k' * 32},short"}, "32 characters"),
    ],
)
def test_a_provider_that_cannot_work_stops_the_start(settings: dict[str, str | None], message: str):
    given = {
        "RECJOBS_WEB_URL": "postgresql://localhost/none",
        "WEBAPP_OIDC_ISSUER": "https://login.example.com",
        "WEBAPP_OIDC_CLIENT_ID": "recjobs",
        "WEBAPP_OIDC_CLIENT_SECRET": "not to be shown",
        "WEBAPP_ROLES": ROLES,
    } | settings
    with pytest.raises(SettingsError, match=re.escape(message)) as refusal:
        Settings.load({name: value for name, value in given.items() if value is not None})
    assert "not to be shown" not in str(refusal.value)
    assert "kkk" not in str(refusal.value)


def test_roles_are_read_as_written():
    roles = parse_roles("a=viewer, b@x.example=editor:shop+library\nc=operator")
    assert [(one.group, one.grant.role, sorted(one.grant.catalogs)) for one in roles] == [
        ("a", "viewer", []), ("b@x.example", "editor", ["library", "shop"]), ("c", "operator", [])
    ]  # fmt: skip


def test_no_secret_of_the_sign_in_is_logged(world: World, provider: Provider, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    client = client_of(world, provider, secret_key="k" * 32)
    address = callback(client)
    client.get(address)
    client.get(address)
    code = re.search(r"code=([^&]+)", address)[1]
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("webapp"))
    assert not any(text in ours for text in (CLIENT_SECRET, "k" * 32, code))

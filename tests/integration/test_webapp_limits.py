"""Who asks too often waits, other sites' scripts read only where they may, and the log does not say about whom."""

import json

import pytest
from flask.testing import FlaskClient
from limits import parse

from tests.webapp_credentials import KEY, KEYS, OPERATORS, OTHER_KEY, SECRET, bearer, sign_in
from webapp import create_app
from webapp.access import throttle
from webapp.api import request_log
from webapp.api.errors import TooMany
from webapp.settings import Settings, SettingsError

ADDRESS = "/v1/shop/popular"
SHOP, CHECKOUT = "https://shop.example", "http://localhost:3000"


def client_of(**settings: object) -> FlaskClient:
    """An app without a database: what is asked of it gets 503, which is an answer like any other here."""
    given = {"database_url": "postgresql://nobody@127.0.0.1:1/none", "request_log": False} | settings
    return create_app(Settings.model_validate(given)).test_client()


def statuses(client: FlaskClient, n: int, key: str | None = None, path: str = ADDRESS, **environ: str) -> list[int]:
    headers = bearer(key) if key else {}
    return [client.get(path, headers=headers, environ_overrides=environ).status_code for _ in range(n)]


def test_after_ten_wrong_credentials_in_a_minute_an_address_is_told_to_wait():
    client = client_of(api_keys=KEYS)
    assert statuses(client, 12, "rk_wrong") == [401] * 10 + [429] * 2
    response = client.get(ADDRESS, headers=bearer("rk_wrong"))
    assert 1 <= int(response.headers["Retry-After"]) <= 61
    assert response.json["error"]["code"] == "too_many_wrong_credentials"
    assert statuses(client, 1, KEY) == [503], "a right key is let in, also from behind the same proxy"
    assert statuses(client, 1, "rk_wrong", REMOTE_ADDR="192.0.2.7") == [401]
    assert statuses(client, 3) == [401] * 3, "no credential is not a wrong one"


def test_one_page_that_refuses_a_credential_counts_it_once():
    client = client_of(operators=OPERATORS, api_keys=KEYS)
    assert statuses(client, 11, "rk_wrong", path="/customers?catalog=shop") == [401] * 10 + [429]


def test_signing_in_with_a_wrong_secret_is_slowed_down_the_same_way():
    client = client_of(operators=OPERATORS)
    assert [sign_in(client, secret="wrong") for _ in range(11)] == [401] * 10 + [429]
    assert sign_in(client) == 303


def test_an_address_of_ipv6_is_its_network():
    client = client_of(api_keys=KEYS)
    for k in range(10):
        assert statuses(client, 1, "rk_wrong", REMOTE_ADDR=f"2001:db8::{k}") == [401]
    assert statuses(client, 1, "rk_wrong", REMOTE_ADDR="2001:db8::beef") == [429]
    assert statuses(client, 1, "rk_wrong", REMOTE_ADDR="2001:db8:0:1::1") == [401]


@pytest.mark.parametrize(
    "same",
    [
        ("1.2.3.4", "1.2.3.4:5678", " 1.2.3.4:1 ", "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:443"),
        ("[2001:db8::1]:443", "[2001:db8::2]", "2001:db8::3", "2001:db8::4%eth0", "[2001:db8::5%25eth0]:443"),
        ("unknown", "unknown"),
        ("_hidden:99999", "_hidden:99999"),
        ("1.2.3.4:5678:9", "1.2.3.4:5678:9"),
        ("[", "["),
        (":", ":"),
        ("1.2.3.999:80", "1.2.3.999"),
    ],
)
def test_an_address_is_counted_however_a_proxy_writes_it(same: tuple[str, ...]):
    limit = len(same)
    for settings in ({"rate_limit": f"{limit}/minute"}, {"api_keys": KEYS, "rate_limit": "1000/minute"}):
        client = client_of(proxies=1, **settings)
        headers = bearer("rk_wrong") if "api_keys" in settings else {}
        given = [*same, same[0]] if "api_keys" not in settings else [*same, *[same[0]] * 10]
        answered = [client.get(ADDRESS, headers=headers | {"X-Forwarded-For": one}).status_code for one in given]
        assert 500 not in answered
        assert answered[-1] == 429
        assert set(answered[:limit]) == {401 if headers else 503}


def test_only_as_many_proxies_as_are_ours_are_believed():
    def asked(client: FlaskClient, forwarded: str) -> int:
        return client.get(ADDRESS, headers=bearer("rk_wrong") | {"X-Forwarded-For": forwarded}).status_code

    client = client_of(api_keys=KEYS)
    assert [asked(client, f"192.0.2.{k}") for k in range(11)][-1] == 429
    client = client_of(api_keys=KEYS, proxies=1)
    assert [asked(client, f"192.0.2.{k}") for k in range(11)][-1] == 401
    assert [asked(client, f"192.0.2.{k}, 198.51.100.1") for k in range(11)][-1] == 429


def test_a_rate_limit_is_per_key_or_address_and_leaves_probes_alone():
    client = client_of(api_keys=KEYS, rate_limit="3/minute")
    assert statuses(client, 4, KEY) == [503] * 3 + [429]
    assert statuses(client, 4, OTHER_KEY) == [503] * 3 + [429]
    assert statuses(client, 5, path="/healthz") == [200] * 5
    client = client_of(rate_limit="3/minute", open=True)
    assert statuses(client, 4) == [503] * 3 + [429]
    response = client.get(ADDRESS)
    assert response.json["error"] == {"code": "too_many_requests", "message": "At most 3 per 1 minute"}
    assert int(response.headers["Retry-After"]) >= 1
    assert statuses(client, 1, REMOTE_ADDR="192.0.2.7") == [503]


def test_a_client_without_a_credential_is_counted_before_it_is_refused():
    client = client_of(api_keys=KEYS, rate_limit="3/minute")
    assert statuses(client, 4) == [401] * 3 + [429]
    assert statuses(client, 1, path="/v1/shop/recommendations?user_id=u0001") == [429], "the fast path counts the same"
    assert statuses(client, 1, KEY) == [503], "a key has a count of its own"


def test_a_limit_begins_anew_when_its_window_is_over_and_keeps_no_client_for_ever(monkeypatch: pytest.MonkeyPatch):
    clock = [1000.0]
    monkeypatch.setattr(throttle.time, "monotonic", lambda: clock[0])
    limit = throttle.Throttle(parse("2/minute"))

    def refused(client: str) -> int:
        try:
            limit.count(client, "code", "message")
        except TooMany as error:
            return error.retry_after
        return 0

    assert [refused("a") for _ in range(3)] == [0, 0, 60]
    clock[0] += 59.5
    assert (refused("a"), refused("b")) == (1, 0)
    clock[0] += 1
    assert [refused("a") for _ in range(3)] == [0, 0, 60]
    for k in range(1000):
        refused(f"client {k}")
    clock[0] += 61
    refused("a")
    assert len(limit._windows) == 1


def test_without_the_setting_nobody_is_counted():
    assert statuses(client_of(), 60) == [503] * 60


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("WEBAPP_RATE_LIMIT", "many"),
        ("WEBAPP_RATE_LIMIT", "0x/minute"),
        ("WEBAPP_CORS_ORIGINS", "*"),
        ("WEBAPP_CORS_ORIGINS", "null"),
        ("WEBAPP_CORS_ORIGINS", f"{SHOP} {SHOP}/path"),
        ("WEBAPP_CORS_ORIGINS", "shop.example"),
        ("WEBAPP_PROXIES", "-1"),
    ],
)
def test_a_wrong_setting_is_named(setting: str, value: str):
    with pytest.raises(SettingsError, match=setting):
        Settings.load({"RECJOBS_READER_URL": "x", setting: value})


# other sites


@pytest.fixture
def shared() -> FlaskClient:
    return client_of(cors_origins=f"{SHOP}, {CHECKOUT}", api_keys=KEYS)


def test_scripts_of_the_named_sites_may_read_and_no_cookie_goes_along(shared: FlaskClient):
    for origin in (SHOP, CHECKOUT):
        response = shared.get(ADDRESS, headers=bearer(KEY) | {"Origin": origin})
        assert response.headers["Access-Control-Allow-Origin"] == origin
        assert "ETag" in response.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert "Origin" in response.headers["Vary"]
        refused = shared.get(ADDRESS, headers={"Origin": origin})
        assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, origin)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "", f"{SHOP}.evil.example", SHOP.replace("https", "http"), f"{SHOP}:8443",
     f"{SHOP}/", SHOP.upper(), f"{SHOP}, {CHECKOUT}"],
)  # fmt: skip
def test_scripts_of_no_other_site_may(shared: FlaskClient, origin: str):
    for method in ("GET", "OPTIONS"):
        headers = bearer(KEY) | {"Origin": origin, "Access-Control-Request-Method": "GET"}
        response = shared.open(ADDRESS, method=method, headers=headers)
        assert not [name for name, _ in response.headers if name.startswith("Access-Control")]
        assert "Origin" in response.headers["Vary"]


def test_a_preflight_is_answered_without_a_key(shared: FlaskClient):
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    response = shared.options(ADDRESS, headers=asked)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == SHOP
    assert "GET" in response.headers["Access-Control-Allow-Methods"].split(", ")
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"].split(", ")


def test_pages_are_read_by_no_other_site(shared: FlaskClient):
    for path in ("/", "/customers", "/sign-in", "/docs"):
        assert "Access-Control-Allow-Origin" not in shared.get(path, headers={"Origin": SHOP}).headers


def test_without_the_setting_no_site_may():
    response = client_of().get(ADDRESS, headers={"Origin": SHOP})
    assert not [name for name, _ in response.headers if name.startswith("Access-Control")]


# the log


def test_a_line_of_the_log_has_the_route_status_time_bytes_request_id_and_key(capfd: pytest.CaptureFixture):
    client = client_of(request_log=True, api_keys=KEYS, operators=OPERATORS)
    answered = client.get(f"{ADDRESS}?category=secret", headers=bearer(KEY))
    client.get(ADDRESS, headers=bearer(SECRET))
    client.get(ADDRESS)
    request_log.flush()
    written = capfd.readouterr().err
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    assert set(lines[0]) == {"time", "id", "method", "route", "status", "ms", "bytes", "key"}
    assert lines[0]["route"] == "/v1/<catalog>/popular"
    assert (lines[0]["status"], lines[0]["bytes"]) == (503, len(answered.data))
    assert lines[0]["ms"] > 0
    assert lines[0]["id"] == answered.headers["X-Request-ID"]
    assert [line["key"] for line in lines] == ["app", "alice", None]
    assert len({line["id"] for line in lines}) == 3
    assert "secret" not in written


def test_a_proxys_request_id_goes_through_and_a_text_that_may_be_an_id_does_not():
    client = client_of(request_log=True)
    for given, kept in [
        ("0123456789abcdef0123456789abcdef", True),
        ("7b0f2b0e-6a8a-4c5c-9d42-2f2c9d1f6a11", True),
        ("user-4711", False),
        ("12345", False),
        ("a" * 65, False),
        ("0123456789abcdef\x01", False),
    ]:
        response = client.get("/healthz", environ_overrides={"HTTP_X_REQUEST_ID": given})
        assert (response.headers["X-Request-ID"] == given) is kept

"""A sign-in ends when it is not used for a while, and after twelve hours however much it is used."""

import re

import pytest
from flask.testing import FlaskClient
from itsdangerous import TimestampSigner

from tests.webapp_credentials import OPERATORS, entry, sign_in
from tests.webapp_world import World
from webapp.access import sign_in_cookies

pytest_plugins = ["tests.webapp_fixtures"]

PAGE = "/rules?catalog=shop"
KEY = "k" * 32


class Clock:
    """The web app's time, which a test moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000
        monkeypatch.setattr(sign_in_cookies.time, "time", lambda: self.now)
        monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def client(world: World) -> FlaskClient:
    return world.client(operators=OPERATORS, secret_key=KEY, editor_url=world.url("recjobs_editor"))


def is_signed_in(client: FlaskClient) -> bool:
    return client.get(PAGE).status_code == 200


def cookie_of(client: FlaskClient) -> str:
    return client.get_cookie("recjobs_operator").value


def test_use_puts_the_end_off_and_idling_does_not(client: FlaskClient, clock: Clock):
    assert sign_in(client) == 303
    for _ in range(5):
        clock.now += 59 * 60
        assert is_signed_in(client)
    clock.now += 61 * 60
    assert not is_signed_in(client)


def test_after_twelve_hours_it_ends_however_much_it_is_used(client: FlaskClient, clock: Clock):
    assert sign_in(client) == 303
    for _ in range(23):
        clock.now += 30 * 60
        assert is_signed_in(client)
    clock.now += 31 * 60
    assert not is_signed_in(client)


def test_the_cookie_is_sent_anew_once_a_minute_at_most_and_ends_with_the_sign_in(client: FlaskClient, clock: Clock):
    assert sign_in(client) == 303
    assert "Set-Cookie" not in client.get(PAGE).headers
    clock.now += 61
    sent = client.get(PAGE).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Max-Age=3600"} <= {part.strip() for part in sent.split(";")}
    for _ in range(14):
        clock.now += 50 * 60
        sent = client.get(PAGE).headers["Set-Cookie"]
    left = 12 * 3600 - 61 - 14 * 50 * 60
    assert f"Max-Age={left}" in sent


def test_a_form_is_good_after_its_cookie_was_sent_anew(client: FlaskClient, clock: Clock):
    assert sign_in(client) == 303
    token = re.search(r'name="token" value="([^"]+)"', client.get(PAGE).text)[1]
    before = cookie_of(client)
    clock.now += 600
    assert is_signed_in(client)
    assert cookie_of(client) != before
    form = {"catalog": "shop", "token": token, "rule_id": "999999"}
    assert client.post("/rules/undo", data=form).status_code == 400, "there is no such rule"
    assert client.post("/rules/undo", data=form | {"token": "x"}).status_code == 403
    client.delete_cookie("recjobs_operator")
    assert sign_in(client) == 303
    assert client.post("/rules/undo", data=form).status_code == 403, "of another sign-in"


def test_signing_out_ends_the_cookies_that_were_sent_before(client: FlaskClient, clock: Clock):
    assert sign_in(client) == 303
    first = cookie_of(client)
    clock.now += 600
    token = re.search(r'name="token" value="([^"]+)"', client.get(PAGE).text)[1]
    assert client.post("/sign-out", data={"token": token}).status_code == 303
    client.set_cookie("recjobs_operator", first)
    assert not is_signed_in(client)


def test_the_idle_time_is_a_setting_and_a_cookie_of_the_release_before_is_good(world: World, clock: Clock):
    short = world.client(operators=OPERATORS, secret_key=KEY, sign_in_idle_minutes=5)
    assert sign_in(short) == 303
    clock.now += 301
    assert not is_signed_in(short)
    cookies = short.application.extensions["sign_in_cookies"]
    name, proof, number, _ = cookies._cookies.loads(cookie_of_new(short))
    short.set_cookie("recjobs_operator", cookies._cookies.dumps([name, proof, number]))
    assert is_signed_in(short)
    assert entry("alice", "x").split(":")[0] == name


def cookie_of_new(client: FlaskClient) -> str:
    client.delete_cookie("recjobs_operator")
    assert sign_in(client) == 303
    return cookie_of(client)

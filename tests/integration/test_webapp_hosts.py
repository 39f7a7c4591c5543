"""The web app answers to its own names: a site that lets a name of its own lead to it (DNS rebinding) reads nothing."""

import pytest

from tests.webapp_credentials import OPERATORS, SECRET, bearer
from tests.webapp_world import World
from webapp.settings import Settings, SettingsError

pytest_plugins = ["tests.webapp_fixtures"]

PATHS = [
    "/v1/shop/recommendations?user_id=u0001", "/v1/shop/users/u0001/recommendations", "/v1/shop/popular",
    "/v1/shop/nothing", "/", "/?catalog=shop&user_id=u0001", "/customers?catalog=shop&user_id=u", "/docs",
    "/openapi.json", "/sign-in", "/v1", "/info", "/v1/shop/batches",
    "/static/page.css", "/reports/shop/20240101T000000Z-1", "/nowhere", "/healthz/", "/readyz/x", "/metrics/",
]  # fmt: skip


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.7", ""]
)
def test_a_name_that_is_not_the_web_apps_gets_nothing_at_any_address(world: World, host: str):
    client = world.client(operators=OPERATORS, request_log=False)
    for path in PATHS:
        response = client.get(path, headers={"Host": host})
        assert response.status_code == 400, path
        assert "WEBAPP_HOSTS" in response.text
        assert "u0001" not in response.text
    for path in ("/sign-in", "/v1/shop/recommendations:batch"):
        assert (
            client.post(path, headers={"Host": host} | bearer(SECRET), json={"user_ids": ["u0001"]}).status_code == 400
        )
    assert client.options(PATHS[0], headers={"Host": host}).status_code == 400
    assert client.get("/v1/shop/popular", headers={"Host": host}).json["error"]["code"] == "unknown_host"


def test_a_probe_is_answered_whatever_name_the_platform_uses(world: World):
    for path in ("/healthz", "/readyz", "/metrics"):
        assert world.client().get(path, headers={"Host": "10.42.0.17:8000"}).status_code == 200


@pytest.mark.parametrize(
    ("settings", "hosts"),
    [
        ({}, ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LocalHost", "localhost."]),
        ({"url": "https://lists.shop.example/"}, ["lists.shop.example", "LISTS.shop.example:443", "127.0.0.1:8000"]),
        ({"url": "http://[2001:db8::7]:8000"}, ["[2001:db8::7]:8000"]),
        ({"hosts": "Webapp, webapp-1 2001:db8::8"}, ["webapp:8000", "webapp-1", "[2001:db8::8]:8000"]),
        ({"host": "10.0.0.7", "open": True}, ["10.0.0.7:8000"]),
    ],
)
def test_the_names_of_the_settings_and_of_this_machine_are_its_own(world: World, settings: dict, hosts: list[str]):
    client = world.client(**settings)
    for host in hosts:
        assert client.get("/v1/shop/popular", headers={"Host": host}).status_code == 200, host
        assert client.get(PATHS[0], headers={"Host": host}).status_code == 200, host
    for host in ("shop.example", "0.0.0.0", "webapp-2"):
        assert client.get(PATHS[0], headers={"Host": host}).status_code == 400, host


@pytest.mark.parametrize(
    "value", ["*", "*.shop.example", "https://shop.example", "shop.example:80", "a/b", ".shop.example"]
)
def test_a_wrong_name_in_the_setting_is_said(value: str):
    with pytest.raises(SettingsError, match=r"WEBAPP_HOSTS=.*is no host"):
        Settings.load({"RECJOBS_READER_URL": "x", "WEBAPP_HOSTS": value})

"""Who may read: everybody, or, once there are keys, only who shows one."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.commands import ROOT, environment_of
from tests.webapp_credentials import (
    KEY,
    KEYS,
    OLD_KEY,
    OPERATORS,
    OTHER_KEY,
    SECRET,
    bearer,
    day,
    entry,
    sign_in,
)
from tests.webapp_world import World
from webapp import create_app
from webapp.api import request_log
from webapp.api.operations import OPEN
from webapp.credentials import parse_credentials
from webapp.settings import Settings, SettingsError

pytest_plugins = ["tests.webapp_fixtures"]

ADDRESS = "/v1/shop/recommendations?user_id=u0001"
ZEROS = "0" * 64


@pytest.fixture
def keyed(world: World) -> FlaskClient:
    return world.client(api_keys=KEYS, operators=OPERATORS)


def test_without_a_setting_everything_is_read_without_a_key(client: FlaskClient):
    assert client.get(ADDRESS).status_code == 200
    assert client.get("/?catalog=shop").status_code == 200


def test_a_key_lets_a_program_read_and_nothing_else_does(keyed: FlaskClient):
    for key in (KEY, OTHER_KEY, SECRET):
        assert keyed.get(ADDRESS, headers=bearer(key)).status_code == 200
    for headers in (
        {}, bearer(""), bearer("rk_onf"), bearer(OLD_KEY), {"Authorization": f"Basic {KEY}"}, bearer("\xff"),
        {"Authorization": KEY}, {"X-Api-Key": KEY},
    ):  # fmt: skip
        response = keyed.get(ADDRESS, headers=headers)
        assert response.status_code == 401, headers
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert set(response.json) == {"error"}
        assert set(response.json["error"]) == {"code", "message"}
    assert keyed.get(f"{ADDRESS}&key={KEY}").status_code == 401


def test_every_route_asks_for_a_credential_but_those_that_are_named(keyed: FlaskClient):
    app = keyed.application
    open_ones = {"health.alive", "health.ready", "openapi.openapi", "openapi.docs"} | {
        "operators.sign_in", "operators.enter", "static"
    }  # fmt: skip
    assert open_ones == OPEN
    for rule in app.url_map.iter_rules():
        address = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in rule.methods - {"OPTIONS"}:
            status = keyed.open(address, method=method).status_code
            if rule.endpoint in open_ones:
                assert status != 401 or rule.endpoint == "operators.enter", rule
            elif address.startswith("/v1/"):
                assert status == 401, rule
            else:
                assert status in (303, 401, 403), rule
    assert keyed.get("/v1/nothing").status_code == 401


def test_pages_are_for_operators_once_there_are_keys(keyed: FlaskClient, world: World):
    asked = keyed.get("/?catalog=shop&user_id=u0001")
    assert (asked.status_code, asked.headers["Location"]) == (303, "/sign-in?back=/?catalog%3Dshop%26user_id%3Du0001")
    assert keyed.get("/?catalog=shop", headers=bearer(KEY)).status_code == 303
    assert sign_in(keyed, back="/?catalog=shop&user_id=u0001") == 303
    assert keyed.get("/?catalog=shop&user_id=u0001").status_code == 200
    assert keyed.get(ADDRESS).status_code == 200

    nobody = world.client(api_keys=KEYS).get("/?catalog=shop")
    assert nobody.status_code == 403
    assert "recjobs operator new" in nobody.text


def test_no_key_reaches_a_log_or_a_page(world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture):
    client = world.client(api_keys=KEYS, operators=OPERATORS, request_log=True)
    with caplog.at_level(logging.DEBUG):
        texts = [client.get(ADDRESS, headers=bearer(key)).text for key in (KEY, OLD_KEY, "rk_unknown")]
        texts.append(client.post("/sign-in", data={"name": "alice", "secret": "rk_unknown"}).text)
        client.get(f"/v1/shop/popular?key={KEY}")
    request_log.flush()
    written = capfd.readouterr().err
    assert written.count('"route"') == 5
    assert not any(key in text for key in (KEY, OLD_KEY, "rk_unknown") for text in [written, caplog.text, *texts])


def test_what_the_command_prints_lets_one_in(world: World):
    def made(*arguments: str) -> dict:
        command = [sys.executable, "-m", "recjobs", *arguments, "--json"]
        done = subprocess.run(command, cwd=ROOT, env=environment_of({}), capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    key, operator = made("api-key", "new", "app", "--expires", day(1)), made("operator", "new", "bob")
    settings = Settings.load(
        {
            "RECJOBS_READER_URL": world.url("recjobs_reader"), key["setting"]: key["entry"],
            operator["setting"]: operator["entry"], "WEBAPP_REQUEST_LOG": "no",
        }
    )  # fmt: skip
    client = create_app(settings).test_client()
    assert client.get("/v1/shop/popular").status_code == 401
    assert client.get("/v1/shop/popular", headers=bearer(key["key"])).status_code != 401
    assert sign_in(client, "bob", operator["secret"]) == 303


@pytest.mark.parametrize(
    "text", ["app", f"app:{KEY}", f"App:{'0' * 64}", f"a:{'0' * 64}:tomorrow", f"a:{'0' * 64}:2027-02-30"]
)
def test_a_wrong_entry_stops_the_start_and_is_not_shown(text: str):
    with pytest.raises(SettingsError, match=r"RECJOBS_API_KEYS: .*entry 2") as refused:
        Settings.load({"RECJOBS_READER_URL": "x", "RECJOBS_API_KEYS": f"{entry('a', 'b')},{text}"})
    assert KEY not in str(refused.value)


def test_entries_may_stand_in_a_file_with_comments(tmp_path: Path):
    path = tmp_path / "keys"
    path.write_text(f"# the newsletter\n{entry('mail', OTHER_KEY)}\n\n{entry('app', KEY)} # until spring\n")
    environ = {"RECJOBS_READER_URL": "x", "RECJOBS_API_KEYS": entry("old", "x"), "RECJOBS_API_KEYS_FILE": str(path)}
    assert [key.name for key in Settings.load(environ).api_keys] == ["old", "mail", "app"]
    with pytest.raises(SettingsError, match=r"RECJOBS_API_KEYS_FILE=.*nowhere"):
        Settings.load(environ | {"RECJOBS_API_KEYS_FILE": str(tmp_path / "nowhere")})


def test_hashes_are_not_in_what_settings_look_like_in_a_log():
    secret_key = "s" * 32
    settings = Settings(database_url="x", api_keys=KEYS, operators=OPERATORS, secret_key=secret_key, editor_url="e:pw")
    shown = repr(settings)
    assert not any(
        text in shown
        for text in (parse_credentials(OPERATORS)[0].digest, parse_credentials(KEYS)[0].digest, secret_key, "pw")
    )

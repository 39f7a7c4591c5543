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
from webapp.access.admission import is_of_this_machine
from webapp.api import request_log
from webapp.api.operations import OPEN
from webapp.credentials import by_digest, find, parse_credentials
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
    open_ones = {"health.alive", "health.ready", "metrics.metrics", "openapi.openapi", "openapi.docs"} | {
        "operators.sign_in", "operators.enter", "operators.to_provider", "operators.callback", "static"
    }  # fmt: skip
    assert open_ones == OPEN
    for rule in app.url_map.iter_rules():
        address = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in rule.methods - {"OPTIONS"}:
            status = keyed.open(address, method=method).status_code
            if rule.endpoint in open_ones:
                assert status != 401 or rule.endpoint == "operators.enter", rule
            elif address.startswith("/v1") or address == "/info":
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


@pytest.mark.parametrize("setting", ["RECJOBS_API_KEYS", "WEBAPP_OPERATORS"])
@pytest.mark.parametrize("text", ["", "\n", "# none yet\n\n", " , ,\t"])
def test_a_file_of_keys_without_an_entry_opens_nothing(tmp_path: Path, setting: str, text: str):
    path = tmp_path / "keys"
    path.write_text(text)
    for more in ({}, {setting: entry("app", KEY)}):
        with pytest.raises(SettingsError, match=rf"{setting}_FILE={path}: has no entry"):
            Settings.load({"RECJOBS_READER_URL": "x", f"{setting}_FILE": str(path)} | more, tmp_path)


@pytest.mark.parametrize(
    "setting",
    ["RECJOBS_API_KEYS", "RECJOBS_API_KEYS_FILE", "WEBAPP_OPERATORS", "WEBAPP_OPERATORS_FILE", "WEBAPP_SECRET_KEY",
     "WEBAPP_RATE_LIMIT"],
)  # fmt: skip
def test_a_setting_that_keeps_somebody_out_is_not_unset_when_it_is_empty(tmp_path: Path, setting: str):
    with pytest.raises(SettingsError, match=f"{setting} is set but empty"):
        Settings.load({"RECJOBS_READER_URL": "x", setting: ""}, tmp_path)
    with pytest.raises(SettingsError, match=setting):
        Settings.load({"RECJOBS_READER_URL": "x", setting: " "}, tmp_path)
    for line in (f"{setting}=", setting, f"export {setting}=''"):
        (tmp_path / ".env").write_text(f"{line}\n")
        with pytest.raises(SettingsError, match=f"{setting} is set but empty"):
            Settings.load({"RECJOBS_READER_URL": "x"}, tmp_path)


def test_an_empty_variable_does_not_fall_back_on_a_place_that_lies_further(tmp_path: Path):
    (tmp_path / ".env").write_text(f"RECJOBS_API_KEYS={entry('app', KEY)}\n")
    assert Settings.load({"RECJOBS_READER_URL": "x"}, tmp_path).api_keys
    with pytest.raises(SettingsError, match="RECJOBS_API_KEYS is set but empty"):
        Settings.load({"RECJOBS_READER_URL": "x", "RECJOBS_API_KEYS": ""}, tmp_path)


@pytest.mark.parametrize(
    ("host", "only_here"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("10.0.0.7", False), ("shop.example", False), ("localhost.shop.example", False), ("127.1", False)],
)  # fmt: skip
def test_what_other_machines_reach_needs_keys_or_a_setting_that_says_so(tmp_path: Path, host: str, only_here: bool):
    environ = {"RECJOBS_READER_URL": "x", "WEBAPP_HOST": host}
    if only_here:
        assert Settings.load(environ, tmp_path).host == host
    else:
        for more in ({}, {"WEBAPP_OPEN": "false"}, {"WEBAPP_OPEN": ""}, {"WEBAPP_OPERATORS": OPERATORS}):
            with pytest.raises(SettingsError, match=f"WEBAPP_HOST={host}: .*RECJOBS_API_KEYS.*WEBAPP_OPEN=true"):
                Settings.load(environ | more, tmp_path)
    assert Settings.load(environ | {"WEBAPP_OPEN": "true"}, tmp_path).open
    assert Settings.load(environ | {"RECJOBS_API_KEYS": entry("app", KEY)}, tmp_path).api_keys


def test_a_server_that_listens_where_no_setting_says_answers_this_machine_only(world: World):
    far = {"REMOTE_ADDR": "192.0.2.7"}
    for path in (ADDRESS, "/v1/shop/popular", "/?catalog=shop", "/static/page.css", "/docs"):
        refused = world.client().get(path, environ_overrides=far)
        assert (refused.status_code, "WEBAPP_OPEN" in refused.text) == (403, True), path
        assert world.client(open=True).get(path, environ_overrides=far).status_code == 200
    assert world.client().get("/healthz", environ_overrides=far).status_code == 200
    assert world.client(api_keys=KEYS).get(ADDRESS, headers=bearer(KEY), environ_overrides=far).status_code == 200
    assert is_of_this_machine(None), "over a Unix socket"
    behind_a_proxy_of_this_machine = {"HTTP_X_FORWARDED_FOR": "192.0.2.7"}
    assert world.client(proxies=1).get(ADDRESS, environ_overrides=behind_a_proxy_of_this_machine).status_code == 200


def test_of_many_keys_each_is_found_and_a_secret_of_two_entries_lives_as_long_as_the_longer():
    entries = [entry(f"k{n}", f"secret {n}") for n in range(300)]
    entries += [entry("twice", "both", day(-1)), entry("twice", "both", day(1)), entry("twice", "both", day(-2))]
    known = by_digest(parse_credentials("\n".join(entries)))
    assert find(known, "secret 7").name == "k7"
    assert find(known, "both").name == "twice"
    assert find(known, entries[0].split(":")[1]) is None, "a hash is no secret"


def test_hashes_are_not_in_what_settings_look_like_in_a_log():
    secret_key = "s" * 32
    settings = Settings(database_url="x", api_keys=KEYS, operators=OPERATORS, secret_key=secret_key, editor_url="e:pw")
    shown = repr(settings)
    assert not any(
        text in shown
        for text in (parse_credentials(OPERATORS)[0].digest, parse_credentials(KEYS)[0].digest, secret_key, "pw")
    )

"""Keys that may ask for some catalogs only, and files of credentials that change while the web app runs."""

import logging
import os
from hashlib import sha256
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.webapp_credentials import KEY, OPERATORS, OTHER_KEY, SECRET, bearer, entry, sign_in
from tests.webapp_world import World
from webapp.access import credential_store
from webapp.credentials import Credential, parse_credentials
from webapp.settings import Settings, SettingsError

pytest_plugins = ["tests.webapp_fixtures"]

ADDRESS = "/v1/shop/recommendations?user_id=u0001"
NOT_THERE = "/v1/nowhere/recommendations?user_id=u0001"


@pytest.fixture(autouse=True)
def _at_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credential_store, "CHECK_SECONDS", 0.0)


def status(client: FlaskClient, key: str, address: str = ADDRESS) -> int:
    return client.get(address, headers=bearer(key)).status_code


def test_a_key_of_some_catalogs_gets_403_for_any_other_whether_it_exists_or_not(world: World):
    keys = f"{entry('app', KEY)}::shop+library {entry('mail', OTHER_KEY)}::library"
    client = world.client(api_keys=keys)
    for address in (ADDRESS, "/v1/shop/popular", "/v1/shop/similar?item_id=i001", "/v1/shop/batches"):
        assert status(client, KEY, address) in (200, 404), address
        refused = client.get(address, headers=bearer(OTHER_KEY))
        assert (refused.status_code, refused.json["error"]["code"]) == (403, "other_catalog"), address
    assert status(client, KEY, ADDRESS) == 200
    batch = client.post("/v1/shop/recommendations:batch", json={"user_ids": ["u0001"]}, headers=bearer(OTHER_KEY))
    assert batch.status_code == 403
    assert [status(client, key, NOT_THERE) for key in (KEY, OTHER_KEY)] == [403, 403]
    assert [each["catalog"] for each in client.get("/v1", headers=bearer(KEY)).json["catalogs"]] == ["shop"]
    assert client.get("/v1", headers=bearer(OTHER_KEY)).json["catalogs"] == []
    assert set(client.get("/info", headers=bearer(KEY)).json["live"]) == {"shop"}
    assert client.get("/info", headers=bearer(OTHER_KEY)).json["live"] == {}


def test_an_entry_without_catalogs_is_for_all_and_old_entries_are_as_before(world: World):
    digest = sha256(KEY.encode()).hexdigest()
    for text in (f"app:{digest}", f"app:{digest}:", f"app:{digest}::", f"app:{digest}:2999-01-01:"):
        (one,) = parse_credentials(text)
        assert one.catalogs == frozenset()
        assert status(world.client(api_keys=text), KEY) == 200, text
    assert parse_credentials(f"app:{digest}:2999-01-01:a+b_2")[0] == Credential(
        "app", digest, one.last_day, frozenset({"a", "b_2"})
    )


@pytest.mark.parametrize("end", [":::", "::A", "::a+", "::+a", "::a/b", "::a:b", ":shop"])
def test_a_wrong_scope_is_refused_without_showing_it(end: str):
    with pytest.raises(ValueError, match="entry 1 is not NAME:SHA256") as refusal:
        parse_credentials(f"app:{'0' * 64}{end}")
    assert "000" not in str(refusal.value)


def test_the_hash_of_an_empty_secret_is_refused():
    digest = sha256(b"").hexdigest()
    with pytest.raises(ValueError, match="entry 2 is the hash of an empty secret"):
        parse_credentials(f"{entry('app', KEY)} {entry('forgotten', '')}")
    for name in ("RECJOBS_API_KEYS", "WEBAPP_OPERATORS"):
        with pytest.raises(SettingsError, match="the hash of an empty secret") as refusal:
            Settings.load({"RECJOBS_WEB_URL": "x", name: f"a:{digest}"})
        assert digest not in str(refusal.value)


def test_one_secret_has_one_scope_and_operators_have_none():
    with pytest.raises(ValueError, match="entry 1: another entry lets the same secret ask for other catalogs"):
        parse_credentials(f"{entry('app', KEY)} {entry('app', KEY)}::shop")
    with pytest.raises(SettingsError, match="only API keys"):
        Settings.load({"RECJOBS_WEB_URL": "x", "WEBAPP_OPERATORS": f"{entry('alice', SECRET)}::shop"})


def test_a_file_of_keys_is_read_again_when_it_changes(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file = tmp_path / "keys"
    file.write_text(entry("app", KEY))
    client = world.client(RECJOBS_API_KEYS=entry("own", "rk_own"), RECJOBS_API_KEYS_FILE=str(file))
    assert [status(client, key) for key in (KEY, OTHER_KEY, "rk_own")] == [200, 401, 200]
    replace(file, f"{entry('app', KEY)}\n{entry('mail', OTHER_KEY)}")
    assert [status(client, key) for key in (KEY, OTHER_KEY, "rk_own")] == [200, 200, 200]
    replace(file, entry("mail", OTHER_KEY))
    assert [status(client, key) for key in (KEY, OTHER_KEY, "rk_own")] == [401, 200, 200], "a removed key is out"
    caplog.set_level(logging.WARNING)
    for wrong in ("", "# nobody", "app:short", "\udcff"):
        replace(file, wrong)
        assert [status(client, key) for key in (KEY, OTHER_KEY, "rk_own")] == [401, 200, 200], wrong
        assert "stays as it was" in caplog.text
        assert "rk_" not in caplog.text
        caplog.clear()
        assert status(client, OTHER_KEY) == 200
        assert not caplog.text, "said once"
    file.unlink()
    assert [status(client, key) for key in (OTHER_KEY, "rk_own")] == [200, 200]
    replace(file, f"{entry('app', KEY)}::library")
    assert [status(client, key) for key in (KEY, OTHER_KEY)] == [403, 401]


def test_a_mounted_secret_that_is_switched_by_its_link_is_read_again(world: World, tmp_path: Path):
    for name, key in (("first", KEY), ("second", OTHER_KEY)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "keys").write_text(entry("app", key))
    (tmp_path / "data").symlink_to("first")
    client = world.client(RECJOBS_API_KEYS_FILE=str(tmp_path / "data/keys"))
    assert [status(client, key) for key in (KEY, OTHER_KEY)] == [200, 401]
    (tmp_path / "next").symlink_to("second")
    os.replace(tmp_path / "next", tmp_path / "data")
    assert [status(client, key) for key in (KEY, OTHER_KEY)] == [401, 200]


def test_an_operator_whose_entry_leaves_the_file_is_signed_out(world: World, tmp_path: Path):
    file = tmp_path / "operators"
    file.write_text(OPERATORS.replace(",", "\n"))
    client = world.client(WEBAPP_OPERATORS_FILE=str(file), RECJOBS_API_KEYS=entry("app", KEY))
    assert sign_in(client) == 303
    assert client.get("/?catalog=shop").status_code == 200
    replace(file, OPERATORS.split(",")[1])
    assert client.get("/?catalog=shop").status_code == 303
    assert sign_in(client) == 401
    assert status(client, SECRET) == 401


def replace(file: Path, text: str) -> None:
    beside = file.with_suffix(".new")
    beside.write_text(text, encoding="utf-8", errors="surrogateescape")
    os.replace(beside, file)

"""Settings come from the environment, else .env, else what the embedded platform wrote; a wrong one is named."""

import subprocess
import sys
from pathlib import Path

import pytest

from webapp.settings import ROOT, Settings, SettingsError


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("environ", "dotenv", "state", "expected"),
    [
        ({"RECJOBS_READER_URL": "a", "RECJOBS_DATABASE_URL": "b"}, "", "", "a"),
        ({"RECJOBS_DATABASE_URL": "b"}, "RECJOBS_READER_URL=c", "RECJOBS_READER_URL=d", "b"),
        ({"RECJOBS_READER_URL": ""}, "# RECJOBS_READER_URL=x\nexport RECJOBS_READER_URL = 'c'\n", "", "c"),
        ({}, "RECJOBS_READER_URL=c  # a replica\n", "", "c"),
        ({"RECJOBS_READER_URL": "a", "RECJOBS_WEB_URL": "w"}, "", "", "w"),
        ({"RECJOBS_READER_URL": "a"}, "", "RECJOBS_WEB_URL=w", "a"),
        ({}, "WEBAPP_PORT=1", "RECJOBS_DATABASE_URL=e\nRECJOBS_READER_URL=d?a=b&c=d#e", "d?a=b&c=d#e"),
    ],
)
def test_the_nearest_place_that_names_a_database_wins(tmp_path: Path, environ, dotenv, state, expected):
    write(tmp_path / ".env", dotenv)
    write(tmp_path / ".local/env", state)
    assert Settings.load(environ, tmp_path).database_url == expected


@pytest.mark.parametrize(
    ("environ", "dotenv", "state", "expected"),
    [
        ({"RECJOBS_READER_URL": "r"}, "", "RECJOBS_DATABASE_URL=all\nRECJOBS_EDITOR_URL=e", "e"),
        ({"RECJOBS_DATABASE_URL": "all"}, "", "RECJOBS_EDITOR_URL=e", None),
        ({}, "RECJOBS_DATABASE_URL=all", "RECJOBS_EDITOR_URL=e", None),
        ({"RECJOBS_EDITOR_URL": "e"}, "RECJOBS_DATABASE_URL=all", "", "e"),
    ],
)
def test_an_editor_is_never_of_a_database_that_a_nearer_place_replaces(
    tmp_path: Path, environ, dotenv, state, expected
):
    write(tmp_path / ".env", dotenv)
    write(tmp_path / ".local/env", state)
    assert Settings.load({"RECJOBS_DATABASE_URL": ""} | environ, tmp_path).editor_url == expected


def test_the_state_folder_is_where_the_setting_says(tmp_path: Path):
    write(tmp_path / "elsewhere/env", "RECJOBS_READER_URL=x")
    assert Settings.load({"RECJOBS_STATE": str(tmp_path / "elsewhere")}, tmp_path).database_url == "x"
    assert Settings.load({"RECJOBS_STATE": "elsewhere"}, tmp_path).database_url == "x"


def test_each_setting_is_overridden_by_a_nearer_place(tmp_path: Path):
    write(tmp_path / ".env", "WEBAPP_PORT=1111\nWEBAPP_THREADS=3")
    settings = Settings.load({"RECJOBS_READER_URL": "x", "WEBAPP_PORT": "2222"}, tmp_path)
    assert (settings.port, settings.threads, settings.host) == (2222, 3, "127.0.0.1")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("WEBAPP_PORT", "http"),
        ("WEBAPP_PORT", "70000"),
        ("WEBAPP_THREADS", "0"),
        ("WEBAPP_STATEMENT_TIMEOUT_MS", "300"),
        ("WEBAPP_REQUEST_LOG", "perhaps"),
        ("AIRFLOW_URL", "javascript:alert(1)"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(tmp_path: Path, setting: str, value: str):
    with pytest.raises(SettingsError, match=setting) as refused:
        Settings.load({"RECJOBS_READER_URL": "postgresql://u:secret@h/d", setting: value}, tmp_path)
    assert value in str(refused.value)
    assert "secret" not in str(refused.value)


def test_without_a_database_the_server_stops_with_78_and_says_what_to_set(tmp_path: Path):
    environ = {"PATH": "", "RECJOBS_STATE": str(tmp_path), "WEBAPP_PORT": "0"}
    if (ROOT / ".env").exists():
        pytest.skip("this checkout has a .env, which may name a database")
    done = subprocess.run([sys.executable, "-m", "webapp"], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 78
    assert "RECJOBS_READER_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_database_url_is_not_in_what_settings_look_like_in_a_log():
    assert "secret" not in repr(Settings(database_url="postgresql://u:secret@h/d"))

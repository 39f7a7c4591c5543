"""Every setting that holds a secret is known as such: no message, log line or record of ours has its value."""

import base64
import gzip
import json
import logging
from urllib.parse import quote

import pytest

from recjobs import logs
from recjobs.config import Settings, load_settings, secrets_of, without_secrets
from tests.secret_search import SecretSearch, forms
from tests.secret_settings import FOUND, canary, drawn, secret_settings, with_canaries
from webapp.settings import SECRETS as WEB_SECRETS
from webapp.settings import Settings as WebSettings

NO_SECRETS = {"STORE_KEY"}
"""Names, of which one is drawn as well: an access key's id stands in the store's own log."""


def test_settings_of_every_program_are_looked_at():
    assert len(secret_settings()) > 35
    assert secret_settings() > {"RECJOBS_WEB_URL", "AWS_SECRET_ACCESS_KEY", "WEBAPP_OIDC_CLIENT_SECRET", *WEB_SECRETS}
    assert secret_settings() > {"AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "PGPASSWORD"}


@pytest.mark.parametrize("name", sorted(secret_settings()))
def test_what_stands_in_a_setting_that_holds_a_secret_is_hidden(name: str, monkeypatch: pytest.MonkeyPatch):
    value = with_canaries(5432, name)[name]
    assert canary(name) in value
    monkeypatch.setenv(name, value)
    assert without_secrets(f"it said {value}, that is {canary(name)}").count(canary(name)) == 0


def test_every_secret_that_the_platform_draws_is_hidden_wherever_a_program_gets_it(monkeypatch: pytest.MonkeyPatch):
    secrets, files = drawn()
    for file, values in files.items():
        with monkeypatch.context() as patch:
            for name, value in values.items():
                patch.setenv(name, value)
            text = without_secrets("\n".join(values.values()))
        assert [name for name, secret in secrets.items() if secret in text and name not in NO_SECRETS] == [], file


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://u:pa%2Fss%40w@h/d", "pa/ss@w"),
        ("postgresql://u:pa/ss@word@h:port/d", "pa/ss@word"),
        ("postgresql//u:no-scheme@h/d", "no-scheme"),
        ("host=h user=u password=in-words dbname=d", "in-words"),
        ("postgresql:///d?host=h&password=in-query", "in-query"),
        ("a word postgresql://u:first@h/d postgresql://u:second@h/d", "second"),
    ],
)
def test_a_password_is_found_in_a_url_that_is_wrong_as_well(url: str, password: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RECJOBS_OWNER_URL", url)
    assert password not in without_secrets(f"invalid: {url} and {password}")


def test_what_is_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch):
    for name in ("RECJOBS_OWNER_URL", "RECJOBS_DATABASE_URL"):
        monkeypatch.setenv(name, "postgresql://owner:abc@db.example.com/shop")
    message = "Postgres does not answer at owner@db.example.com/shop; abc"
    assert without_secrets(message) == message, "three characters are parts of words"
    assert "" not in secrets_of(load_settings())


def test_a_setting_that_is_wrong_is_named_without_its_secret(monkeypatch: pytest.MonkeyPatch):
    value = f"redis://u:{canary('x')}@h"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", value)
    assert canary("x") not in without_secrets(f"setting OTEL_EXPORTER_OTLP_ENDPOINT={value!r}: should match")


def test_a_line_of_text_has_no_secret_nor_has_the_error_below_it():
    try:
        raise ValueError("invalid dsn: c4n4ry-text")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "said %s", ("c4n4ry-text",), (ValueError, error, None))
    line = logs.TextFormatter(["c4n4ry-text"]).format(record)
    assert FOUND.findall(line) == []
    assert line.count("***") == 2
    assert FOUND.findall(logging.Formatter().format(record)) != []


def test_settings_do_not_show_their_secrets_where_they_are_printed():
    shown = repr(WebSettings.model_construct(database_url="d", WEBAPP_SECRET_KEY=("c4n4ry-key",)))
    assert "c4n4ry" not in shown
    hidden = {field.alias for field in WebSettings.model_fields.values() if not field.repr}
    assert {name for name in WEB_SECRETS if name not in hidden} == set()
    assert {field.alias for field in Settings.model_fields.values()} & {*WEB_SECRETS} == {"RECJOBS_EDITOR_URL"}


@pytest.mark.parametrize("around", ["", "x", "xy", "xyz"])
def test_the_search_finds_a_secret_in_every_form(around: str):
    secret = "p/w with \"quotes\" and 'ü'"
    search = SecretSearch({"PASSWORD": secret})
    whole = f"{around}{secret}{around}"
    encoded = base64.b64encode(whole.encode())
    for content in (whole, quote(whole, safe=""), json.dumps([whole]), whole.encode().hex(), encoded,
                    gzip.compress(whole.encode())):  # fmt: skip
        search.found = set()
        search.look(content, "here")
        assert search.found == {"PASSWORD in here"}, content
    search.found = set()
    for content in (f"another {secret[:-2]}", "", gzip.compress(b"")):
        search.look(content, "here")
    assert search.found == set()
    assert len(forms(secret)) == 7

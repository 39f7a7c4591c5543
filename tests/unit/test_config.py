"""Environment -> Settings, catalog files -> Catalogs: what is read, and how a mistake names its place."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from recjobs import config
from recjobs.catalog.files import load_catalog, load_catalogs
from recjobs.config import Settings, connection_url, load_settings
from recjobs.errors import BadConfiguration, Misuse
from webapp.settings import Settings as WebSettings

GOOD = """
sources:
  - path: a.csv
    columns: {user_id: u, item_id: i, occurred_at: t}
"""


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """No setting but those a test makes."""
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)
    monkeypatch.setattr(config, "ROOT", tmp_path)
    monkeypatch.setenv("RECJOBS_STATE", str(tmp_path / "state"))
    return monkeypatch


@pytest.fixture
def catalogs(tmp_path):
    """Writes catalog files; returns settings that find them."""

    def write(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        return Settings(RECJOBS_CATALOGS=tmp_path, _env_file=None)

    return write


def test_without_an_environment_everything_has_its_default(machine, tmp_path):
    settings = load_settings()
    assert settings.data == tmp_path / "data"
    assert settings.artifacts == str(tmp_path / "state" / "artifacts")
    assert settings.webapp_url == "http://127.0.0.1:8000"
    assert settings.threads == 0


def test_the_environment_decides(machine):
    machine.setenv("RECJOBS_DATA", "/somewhere")
    machine.setenv("RECJOBS_THREADS", "3")
    machine.setenv("WEBAPP_PORT", "8123")
    settings = load_settings()
    assert (settings.data, settings.threads, settings.webapp_url) == (Path("/somewhere"), 3, "http://127.0.0.1:8123")


def test_the_environment_comes_before_the_dotenv_and_that_before_the_platform(machine, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "env").write_text("STATSD_PORT=1\nSTATSD_HOST=platform\nRECJOBS_DATABASE_URL=postgres://p\n")
    (tmp_path / ".env").write_text("STATSD_PORT=2\nSTATSD_HOST=dotenv\n")
    machine.setenv("STATSD_PORT", "3")
    settings = load_settings()
    assert (settings.statsd_port, settings.statsd_host, settings.database_url) == (3, "dotenv", "postgres://p")


def test_an_empty_setting_is_no_setting(machine):
    machine.setenv("RECJOBS_THREADS", "")
    assert load_settings().threads == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("POSTGRES_PORT", "0"), ("WEBAPP_PORT", "http"), ("STATSD_PORT", "65536"), ("RECJOBS_THREADS", "-1")],
)
def test_a_wrong_setting_is_named_with_its_value(machine, name, value):
    machine.setenv(name, value)
    with pytest.raises(BadConfiguration, match=f"setting {name}='{value}'"):
        load_settings()


def test_each_role_has_its_own_url_or_that_for_everything():
    settings = Settings(RECJOBS_DATABASE_URL="all", RECJOBS_LOADER_URL="its own", _env_file=None)
    assert (settings.url_of("loader"), settings.url_of("publisher")) == ("its own", "all")


@pytest.mark.parametrize(
    ("environ", "dotenv", "platform", "loader", "publisher"),
    [
        ({"RECJOBS_DATABASE_URL": "all"}, "", "RECJOBS_LOADER_URL=its-own", "all", "all"),
        ({"RECJOBS_DATABASE_URL": "all"}, "RECJOBS_LOADER_URL=its-own", "", "all", "all"),
        ({}, "RECJOBS_DATABASE_URL=all", "RECJOBS_LOADER_URL=its-own", "all", "all"),
        ({"RECJOBS_LOADER_URL": "its-own"}, "RECJOBS_DATABASE_URL=all", "", "its-own", "all"),
        ({}, "", "RECJOBS_LOADER_URL=its-own\nRECJOBS_DATABASE_URL=all", "its-own", "all"),
    ],
)
def test_the_most_explicit_place_that_names_a_database_wins(
    machine, tmp_path, environ, dotenv, platform, loader, publisher
):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "env").write_text(platform)
    (tmp_path / ".env").write_text(dotenv)
    for name, url in environ.items():
        machine.setenv(name, url)
    settings = load_settings()
    assert (settings.url_of("loader"), settings.url_of("publisher")) == (loader, publisher)


def test_the_web_app_is_the_reader_where_no_url_of_its_own_is_set(machine):
    machine.setenv("RECJOBS_DATABASE_URL", "all")
    machine.setenv("RECJOBS_READER_URL", "reads")
    assert load_settings().url_of("web") == "reads"
    machine.setenv("RECJOBS_WEB_URL", "its-own")
    assert (load_settings().url_of("web"), load_settings().url_of("reader")) == ("its-own", "reads")


def test_without_any_database_the_message_says_what_to_do(machine):
    with pytest.raises(BadConfiguration, match=r"RECJOBS_DATABASE_URL .* `make up`"):
        load_settings().url_of("owner")


def test_every_setting_says_what_it_is_for():
    text = Path(config.__file__).read_text()
    for name, field in Settings.model_fields.items():
        line = next(i for i, line in enumerate(text.splitlines()) if line.startswith(f"    {name}: "))
        assert text.splitlines()[line + 1].strip().startswith('"""'), field.alias


def test_one_thread_for_blas_is_said_to_the_libraries():
    assert os.environ["OPENBLAS_NUM_THREADS"]


def as_somebody_else(read: Callable[[], object]) -> str:
    """The error of a call in a child process that is not root, or nothing."""
    receiver, sender = os.pipe()
    if (child := os.fork()) == 0:
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            read()
        except BaseException as error:
            os.write(sender, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(sender)
    os.waitpid(child, 0)
    with os.fdopen(receiver) as said:
        return said.read()


@pytest.mark.parametrize("locked", ["env", "."])
def test_another_users_platform_is_said_to_be_theirs(machine, locked):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        state = Path(folder, "state")
        state.mkdir()
        (state / "env").write_text("RECJOBS_DATABASE_URL=postgresql://x@127.0.0.1/x\n")
        (state / locked).chmod(0)
        machine.setattr(config, "ROOT", Path(folder))
        machine.setenv("RECJOBS_STATE", str(state))
        try:
            said = as_somebody_else(load_settings)
            page = as_somebody_else(lambda: WebSettings.load(root=Path(folder)))
        finally:
            (state / locked).chmod(0o700)
    assert said.startswith("BadConfiguration: ")
    assert f"{state}" in said
    assert "belongs to another user" in said
    assert page.startswith("SettingsError: ")
    assert "belongs to another user" in page


# --- catalog files


def test_every_file_is_a_catalog_of_its_name(catalogs):
    settings = catalogs(b=GOOD, a=GOOD)
    assert list(load_catalogs(settings)) == ["a", "b"]
    assert load_catalog("b", settings).name == "b"


def test_a_folder_without_files_has_no_catalogs(tmp_path):
    assert load_catalogs(Settings(RECJOBS_CATALOGS=tmp_path / "none", _env_file=None)) == {}


def test_an_unknown_catalog_is_misuse_with_a_guess(catalogs):
    with pytest.raises(Misuse, match=r"no catalog 'ship' in .* Did you mean shop\? Known: shop"):
        load_catalog("ship", catalogs(shop=GOOD))


@pytest.mark.parametrize("name", ["../shop", "shop.yaml", "", "/etc/passwd"])
def test_a_name_never_leaves_the_folder(catalogs, name):
    with pytest.raises(Misuse, match="there is no catalog"):
        load_catalog(name, catalogs(shop=GOOD))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + "modell: {factors: 3}\n", "modell: unknown key. Did you mean model? Allowed: "),
        (GOOD + "model: {factors: many}\n", "model.factors: 'many' input should be a valid integer"),
        (GOOD + "model: {factors: yes}\n", "model.factors: True is a switch"),
        (GOOD + "name: other\n", "name: unknown key. A catalog is named by its file: shop"),
        (GOOD + "model: {factors: 3\n", "not YAML: "),
        ("", "must hold keys and values"),
        ("- a\n- b\n", "must hold keys and values"),
        ("description: x\n", "sources: missing, and it is needed"),
    ],
)
def test_a_wrong_file_is_named_with_key_and_value(catalogs, tmp_path, text, said):
    with pytest.raises(BadConfiguration) as caught:
        load_catalog("shop", catalogs(shop=text))
    assert str(caught.value).startswith(f"{tmp_path}/shop.yaml: {said}")


def test_every_mistake_of_a_file_has_a_line_of_its_own(catalogs):
    with pytest.raises(BadConfiguration) as caught:
        load_catalog("shop", catalogs(shop=GOOD + "seen: maybe\nholdout_days: 0\n"))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("name", ["public", "pg_shop", "My-Shop"])
def test_a_file_with_a_name_that_cannot_be_a_schema_is_refused(catalogs, name):
    with pytest.raises(BadConfiguration, match=f"{name}.yaml: name: "):
        load_catalog(name, catalogs(**{name: GOOD}))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "shop.yaml").write_bytes(b"description: m\xfcller\n")
    with pytest.raises(BadConfiguration, match="not YAML"):
        load_catalog("shop", Settings(RECJOBS_CATALOGS=tmp_path, _env_file=None))


def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path, monkeypatch):
    (tmp_path / "shop.yaml").write_text("description: a\nsources: []\ndescription: b\n")
    monkeypatch.setenv("RECJOBS_CATALOGS", str(tmp_path))
    with pytest.raises(BadConfiguration, match=r"(?s)shop.yaml.*'description' stands twice.*line 3"):
        load_catalogs()


def test_the_url_of_a_connection_is_a_setting_like_others(monkeypatch, tmp_path):
    monkeypatch.setenv("RECJOBS_STATE", str(tmp_path))
    monkeypatch.delenv("RECJOBS_CONNECTION_SHOP", raising=False)
    with pytest.raises(
        BadConfiguration, match=r"RECJOBS_CONNECTION_SHOP is not set, and a source has `connection: shop`"
    ):
        connection_url("shop")
    (tmp_path / "env").write_text("RECJOBS_CONNECTION_SHOP=postgresql://file/shop\n")
    assert connection_url("shop") == "postgresql://file/shop"
    monkeypatch.setenv("RECJOBS_CONNECTION_SHOP", "postgresql://environment/shop")
    assert connection_url("shop") == "postgresql://environment/shop"

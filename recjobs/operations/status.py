"""The status of the local platform and of each catalog."""

from typing import Any

from recjobs.adapters.local_platform import running
from recjobs.catalog.files import catalog_names, read_catalogs
from recjobs.catalog.names import CatalogName
from recjobs.config import Settings, load_settings, without_secrets
from recjobs.errors import BadConfiguration, RecjobsError
from recjobs.night.catalogs import schemas
from recjobs.night.database import database
from recjobs.operations import retention_ages

NO_FILE = "no file in catalogs/: its lists are still served, until `recjobs catalog remove`"
_NOTHING_YET = ("no database: ", "the database is not migrated: ")
"""How an error begins that is no fault: the platform, or the catalog, is new."""


def run() -> dict[str, Any]:
    """Return the platform's processes with port, URL and process id, and each catalog's live batch, how old it is,
    its challenger, and where the latest try at a night stopped; and how old the oldest is of what grows.

    `file` of a catalog: why its file cannot be read, or that it has none.
    """
    settings = load_settings()
    files = dict.fromkeys(catalog_names(settings), "")
    files |= {name: str(error) for name, error in read_catalogs(settings)[1].items()}
    names = {**dict.fromkeys(_schemas(settings), NO_FILE), **files}
    catalogs = {name: _of_catalog(name) | ({"file": why} if why else {}) for name, why in sorted(names.items())}
    return {"platform": running(settings.state), "catalogs": catalogs, "retention": retention_ages.run(settings)}


def _of_catalog(name: str) -> dict[str, Any]:
    try:
        with database(CatalogName(name), "publisher").connect() as session:
            row, challenger = session.row("live_batch"), session.row("challengers", as_of="infinity")
        freshness, stopped = _row(name, "freshness"), _row(name, "last_stop")
        return {"live": row, "freshness": freshness, "challenger": challenger, "stopped": stopped}
    except RecjobsError as error:
        if isinstance(error, BadConfiguration) and str(error).startswith(_NOTHING_YET):
            return {"live": None}
        return {"live": None, "error": without_secrets(str(error))}


def _row(name: str, query: str) -> dict[str, Any] | None:
    try:
        with database(CatalogName(name), "publisher").connect() as session:
            return session.row(query)
    except RecjobsError:  # a schema of the release before
        return None


def _schemas(settings: Settings) -> list[str]:
    try:
        return schemas(settings)
    except RecjobsError:  # no database, or it does not answer: each catalog says so
        return []

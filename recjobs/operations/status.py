"""The status of the local platform and of each catalog."""

from typing import Any

from recjobs.adapters.local_platform import running
from recjobs.catalog.files import load_catalogs
from recjobs.config import load_settings
from recjobs.errors import BadConfiguration, RecjobsError
from recjobs.night.night import database


def run() -> dict[str, Any]:
    """Return the platform's processes with port, URL and process id, and each catalog's live batch and challenger."""
    settings = load_settings()
    catalogs: dict[str, Any] = {}
    for catalog in load_catalogs(settings).values():
        try:
            with database(catalog, "publisher").connect() as session:
                row, challenger = session.row("live_batch"), session.row("challengers", as_of="infinity")
            catalogs[catalog.name] = {"live": row, "challenger": challenger}
        except BadConfiguration:
            catalogs[catalog.name] = {"live": None}
        except RecjobsError as error:
            catalogs[catalog.name] = {"live": None, "error": str(error)}
    return {"platform": running(settings.state), "catalogs": catalogs}

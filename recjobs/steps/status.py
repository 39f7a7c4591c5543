"""Say what runs where, and what is live."""

import json
from typing import Any

from recjobs.adapters.local_platform import running
from recjobs.config import load_catalogs, load_settings
from recjobs.errors import BadConfiguration, RecjobsError
from recjobs.night import database


def run() -> dict[str, Any]:
    """Processes of the local platform with ports, URLs and process ids, and each catalog's live batch."""
    settings = load_settings()
    catalogs: dict[str, Any] = {}
    for catalog in load_catalogs(settings).values():
        try:
            with database(settings, catalog, "publisher").connect() as session:
                row = session.row("live_batch")
            catalogs[catalog.name] = {"live": json.loads(json.dumps(row, default=str)) if row else None}
        except BadConfiguration:
            catalogs[catalog.name] = {"live": None}
        except RecjobsError as error:
            catalogs[catalog.name] = {"live": None, "error": str(error)}
    return {"platform": running(settings.state), "catalogs": catalogs}

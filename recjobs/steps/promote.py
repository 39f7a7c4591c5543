"""Put a registered model version in charge by hand; the live lists stay as they are until the next night."""

from typing import Any

from recjobs.catalog import Catalog
from recjobs.config import load_settings
from recjobs.night import database, let_alias_follow


def run(catalog: Catalog, model_version: str, reason: str) -> dict[str, Any]:
    """Move the champion to a model version. Raises ListsRefused when it was never registered."""
    settings = load_settings()
    with database(settings, catalog, "publisher").connect() as session:
        session.rows("promote_model", model_version=model_version, reason=reason)
    let_alias_follow(settings, catalog, model_version)
    return {"catalog": catalog.name, "champion": model_version}

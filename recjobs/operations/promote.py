"""Put a registered model version in charge by hand; the live lists stay as they are until the next night."""

from typing import Any

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.catalog.file import Catalog
from recjobs.config import load_settings
from recjobs.night.night import database, let_alias_follow, registered
from recjobs.night.request import ChampionPin


def run(catalog: Catalog, model_version: str, reason: str) -> dict[str, Any]:
    """Move the champion to a model version.

    Raises ListsRefused when it was never registered, ModelRefused when its file is gone: no night could use it.
    """
    settings = load_settings()
    with database(settings, catalog, "publisher").connect() as session, session.transaction():
        session.call("promote_model", version=model_version, why=reason)
        champion = session.row("champion")
        assert champion is not None
        registered(ArtifactStore(settings.artifacts, catalog.name), ChampionPin(**champion))
    let_alias_follow(settings, catalog, model_version)
    return {"catalog": catalog.name, "champion": model_version}

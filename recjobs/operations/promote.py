"""Make a registered model version the champion; the live lists stay until the next night."""

from typing import Any

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.catalog.names import Named
from recjobs.config import load_settings
from recjobs.night.night import database, let_alias_follow, registered
from recjobs.night.request import ChampionPin


def run(catalog: Named, model_version: str, reason: str) -> dict[str, Any]:
    """Make a model version the champion.

    Raises ListsRefused if it was never registered, ModelRefused if its file is gone.
    """
    with database(catalog, "publisher").connect() as session, session.transaction():
        session.call("promote_model", version=model_version, why=reason)
        champion = session.row("champion")
        assert champion is not None  # noqa: S101 - promote_model has just made it
        registered(ArtifactStore(load_settings().artifacts, catalog.name), ChampionPin(**champion))
    let_alias_follow(catalog)
    return {"catalog": catalog.name, "champion": model_version}

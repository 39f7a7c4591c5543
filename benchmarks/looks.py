"""Interactions of a catalog as a night would accept them, without publishing anything."""

from recjobs.adapters.artifacts import Artifacts
from recjobs.catalog.files import load_catalog
from recjobs.config import load_settings
from recjobs.core.rows.interactions import Interactions
from recjobs.night.runner import begin_night, run_step


def interactions_of(catalog_name: str, as_of: str | None = None) -> Interactions:
    """The accepted interactions of a `--no-publish` night; its artifacts stay, and are used again."""
    return Interactions.from_table(validated(catalog_name, as_of).load_table("validate", "interactions.parquet"))


def validated(catalog_name: str, as_of: str | None = None) -> Artifacts:
    """The artifacts of such a night."""
    catalog = load_catalog(catalog_name)
    batch_id = str(begin_night(catalog, as_of=as_of, overrides={}, force=None, publish=False)["batch_id"])
    artifacts = Artifacts(load_settings().artifacts, catalog_name, batch_id)
    for step in ("extract", "validate"):
        if not artifacts.is_done(step):
            run_step(step, catalog, batch_id)
    return artifacts

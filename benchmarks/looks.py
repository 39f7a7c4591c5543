"""Interactions of a catalog as a night would accept them, without publishing anything."""

from recjobs.catalog.files import load_catalog
from recjobs.core.rows.interactions import Interactions
from recjobs.night.night import Night
from recjobs.night.runner import begin_night, run_step


def interactions_of(catalog_name: str, as_of: str | None = None) -> Interactions:
    """The accepted interactions of a `--no-publish` night; its artifacts stay, and are used again."""
    return validated(catalog_name, as_of).interactions()


def validated(catalog_name: str, as_of: str | None = None) -> Night:
    """Such a night."""
    catalog = load_catalog(catalog_name)
    batch_id = str(begin_night(catalog, as_of=as_of, overrides={}, force=None, publish=False)["batch_id"])
    night = Night.open(catalog, batch_id)
    for step in ("extract", "validate"):
        if not night.is_done(step):
            run_step(step, catalog, batch_id)
    return night

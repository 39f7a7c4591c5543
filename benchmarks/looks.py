"""Interactions of a catalog as a night would accept them, without publishing anything."""

from recjobs.catalog.files import load_catalog
from recjobs.core.rows.interactions import Interactions
from recjobs.night.night import Night
from recjobs.night.runner import run_through


def interactions_of(catalog_name: str, as_of: str | None = None) -> Interactions:
    """The accepted interactions of a `--no-publish` night; its artifacts stay, and are used again."""
    return validated(catalog_name, as_of).interactions()


def validated(catalog_name: str, as_of: str | None = None) -> Night:
    """Such a night."""
    catalog = load_catalog(catalog_name)
    return Night.open(catalog, run_through("validate", catalog, as_of))

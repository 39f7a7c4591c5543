"""Which catalogs there are: by their files and by their schemas, without reading any file."""

import re

from recjobs.adapters.postgres import Database
from recjobs.catalog.files import catalog_names, load_catalog, unknown
from recjobs.catalog.names import CatalogName
from recjobs.config import Settings, load_settings
from recjobs.errors import BadConfiguration

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


def is_name(text: str) -> bool:
    """Whether a catalog can be called so."""
    return _NAME.fullmatch(text) is not None


def known_catalog(name: str) -> CatalogName:
    """A catalog that has a file, readable or not, or else a schema. Raises Misuse for any other name."""
    settings = load_settings()
    if not _NAME.fullmatch(name):
        return CatalogName(load_catalog(name, settings).name)  # raises, and says why
    if name not in catalog_names(settings) and name not in _schemas_if_any(settings):
        raise unknown(name, settings)
    return CatalogName(name)


def schemas(settings: Settings) -> list[str]:
    """The catalogs that the database holds, with or without a file."""
    url = settings.owner_url or settings.publisher_url or settings.editor_url or settings.url_of("reader")
    with Database(url).connect() as session:
        return [row["catalog"] for row in session.rows("catalog_schemas")]


def _schemas_if_any(settings: Settings) -> list[str]:
    try:
        return schemas(settings)
    except BadConfiguration:  # no database yet
        return []

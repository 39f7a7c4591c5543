"""A catalog by its name alone: what goes on without its file, such as a roll-back, must not read it."""

from dataclasses import dataclass
from typing import Protocol


class Named(Protocol):
    """A `Catalog`, or only its name: enough for its schema, its artifacts and its MLflow runs."""

    @property
    def name(self) -> str:
        """The name of file, schema, folder and model."""
        ...


@dataclass(frozen=True)
class CatalogName:
    """A catalog whose file was not read."""

    name: str

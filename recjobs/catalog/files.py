"""Read catalogs/*.yaml; a wrong file is refused with its name, the key, the value and what is allowed.

What needs a catalog's name only, such as a roll-back, calls `recjobs.night.catalogs.known_catalog` instead.
"""

import difflib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from recjobs.catalog.file import Catalog, explain
from recjobs.config import Settings, load_settings
from recjobs.errors import BadConfiguration, Misuse


def catalog_names(settings: Settings | None = None) -> list[str]:
    """The name of every catalog file, readable or not, in order."""
    return sorted(path.stem for path in (settings or load_settings()).catalogs.glob("*.yaml"))


def read_catalogs(settings: Settings | None = None) -> tuple[dict[str, Catalog], dict[str, BadConfiguration]]:
    """Every catalog whose file can be read, by name, and why each other file cannot.

    For whatever deals with all catalogs: one broken file must not stop what the others need.
    """
    settings = settings or load_settings()
    catalogs: dict[str, Catalog] = {}
    broken: dict[str, BadConfiguration] = {}
    for name in catalog_names(settings):
        try:
            catalogs[name] = load_catalog(name, settings)
        except BadConfiguration as error:
            broken[name] = error
    return catalogs, broken


def load_catalogs(settings: Settings | None = None) -> dict[str, Catalog]:
    """Every catalog, by name. Raises BadConfiguration that names each broken file, key, value and what is allowed."""
    catalogs, broken = read_catalogs(settings)
    if broken:
        raise BadConfiguration("\n".join(map(str, broken.values())))
    return catalogs


def load_catalog(name: str, settings: Settings | None = None) -> Catalog:
    """One catalog by name. Raises Misuse when there is none of that name."""
    settings = settings or load_settings()
    if name not in catalog_names(settings):
        raise unknown(name, settings)
    return _read(settings.catalogs / f"{name}.yaml")


def unknown(name: str, settings: Settings) -> Misuse:
    """The error about a name that no file has."""
    known = catalog_names(settings)
    hint = "".join(f" Did you mean {close}?" for close in difflib.get_close_matches(name, known, 1))
    return Misuse(f"there is no catalog {name!r} in {settings.catalogs}.{hint} Known: {', '.join(known) or 'none'}")


class _UniqueKeys(yaml.SafeLoader):
    """YAML that refuses duplicate keys, of which PyYAML keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # a list or a map: refused by the base class
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> Catalog:
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, IndexError) as error:  # also for impossible dates and numbers
        raise BadConfiguration(f"{path}: not YAML: {error}") from None
    except RecursionError:
        raise BadConfiguration(f"{path}: not YAML that can be read: lists or maps are nested too deep") from None
    except OSError as error:
        raise BadConfiguration(f"{path}: cannot be read ({error.strerror}); see to its permissions") from None
    if not isinstance(tree, dict):
        raise BadConfiguration(f"{path}: must hold keys and values, such as `sources:`")
    if "name" in tree:
        raise BadConfiguration(f"{path}: name: unknown key. A catalog is named by its file: {path.stem}")
    try:
        return Catalog.model_validate({**tree, "name": path.stem})
    except ValidationError as error:
        raise BadConfiguration("\n".join(f"{path}: {line}" for line in explain(error))) from None

"""Read catalogs/*.yaml; a wrong file is refused with its name, the key, the value and what is allowed."""

import difflib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from recjobs.catalog.file import Catalog, explain
from recjobs.config import Settings, load_settings
from recjobs.errors import BadConfiguration, Misuse


def load_catalogs(settings: Settings | None = None) -> dict[str, Catalog]:
    """Every catalog, by name. Raises BadConfiguration that names file, key, value and what is allowed."""
    return {path.stem: _read(path) for path in sorted((settings or load_settings()).catalogs.glob("*.yaml"))}


def load_catalog(name: str, settings: Settings | None = None) -> Catalog:
    """One catalog by name. Raises Misuse when there is none of that name."""
    folder = (settings or load_settings()).catalogs
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        hint = "".join(f" Did you mean {close}?" for close in difflib.get_close_matches(name, known, 1))
        raise Misuse(f"there is no catalog {name!r} in {folder}.{hint} Known: {', '.join(known) or 'none'}")
    return _read(folder / f"{name}.yaml")


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
        tree = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
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

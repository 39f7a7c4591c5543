"""A recipe as somebody says it: keys of a catalog, a file, or the name of one that is kept."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from recjobs.catalog.file import Catalog, sets_recipe
from recjobs.core.recipe import Recipe
from recjobs.errors import Misuse


def recipe_with(catalog: Catalog, overrides: dict[str, Any], origin: str = "--set") -> Recipe:
    """The catalog's recipe with other values for keys of `model`, `recency` and `kinds`. Raises Misuse, whose message
    begins with the origin of the overrides."""
    changed = catalog.with_overrides(overrides, origin)
    if key := next((key for key in overrides if not sets_recipe({key: None})), None):
        raise Misuse(
            f"{origin} {key}: is no part of a recipe: those are keys of model, recency and kinds, such as factors"
        )
    return changed.recipe


def recipe_of(catalog: Catalog, said: str, kept: Mapping[str, Callable[[], Recipe]]) -> Recipe:
    """The recipe that is called `said`: the name of a kept one, `factors=32,alpha=5`, or a YAML or JSON file of such
    keys; what is left open is the catalog's. Raises Misuse."""
    if said in kept:
        return kept[said]()
    if "=" in said and not Path(said).is_file():
        pairs = (part.partition("=") for part in said.split(","))
        tree: Any = {key.strip(): _value(said, text) for key, _, text in pairs}
    else:
        tree = _value(said, _text(said, kept))
    if not isinstance(tree, dict):
        raise Misuse(f"recipe {said}: must hold keys and values, such as factors: 32")
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        nested = value if key in ("model", "recency") and isinstance(value, dict) else None
        flat |= {str(key): value} if nested is None else {f"{key}.{leaf}": v for leaf, v in nested.items()}
    return recipe_with(catalog, flat, f"recipe {said}:")


def _text(said: str, kept: Mapping[str, Any]) -> str:
    try:
        return Path(said).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Misuse(
            f"recipe {said}: is neither {', '.join(kept)}, nor such as factors=32,alpha=5, nor a file that can be read "
            f"({getattr(error, 'strerror', None) or error})"
        ) from None


def _value(said: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        raise Misuse(f"recipe {said}: {text.strip().splitlines()[0]!r} is no YAML") from None

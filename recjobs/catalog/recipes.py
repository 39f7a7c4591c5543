"""Recipes from the command line: overrides of a catalog, a file, or the name of a stored recipe."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from recjobs.catalog.file import Catalog, sets_recipe
from recjobs.core.recipe import Recipe
from recjobs.errors import Misuse


def recipe_with(catalog: Catalog, overrides: dict[str, Any], origin: str = "--set") -> Recipe:
    """The catalog's recipe with overrides of `model`, `recency` and `kinds`. Raises Misuse, which names `origin`."""
    changed = catalog.with_overrides(overrides, origin)
    if key := next((key for key in overrides if not sets_recipe({key: None})), None):
        raise Misuse(
            f"{origin} {key}: is no part of a recipe: those are keys of model, recency and kinds, such as factors"
        )
    return changed.recipe


def recipe_of(catalog: Catalog, argument: str, stored: Mapping[str, Callable[[], Recipe]]) -> Recipe:
    """The recipe of an argument: the name of a stored one, `factors=32,alpha=5`, or a YAML or JSON file of such keys,
    which override the catalog's. Raises Misuse."""
    if argument in stored:
        return stored[argument]()
    is_inline = "=" in argument and not Path(argument).is_file()
    try:
        text = argument if is_inline else Path(argument).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Misuse(
            f"recipe {argument}: is neither {', '.join(stored)}, nor such as factors=32,alpha=5, "
            f"nor a file that can be read ({reason})"
        ) from None
    try:
        pairs = (part.partition("=") for part in text.split(","))
        tree = {key.strip(): yaml.safe_load(v) for key, _, v in pairs} if is_inline else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        raise Misuse(f"recipe {argument}: {text.strip().splitlines()[0]!r} is no YAML") from None
    if not isinstance(tree, dict):
        raise Misuse(f"recipe {argument}: must hold keys and values, such as factors: 32")
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        nested = value if key in ("model", "recency") and isinstance(value, dict) else None
        flat |= {str(key): value} if nested is None else {f"{key}.{leaf}": v for leaf, v in nested.items()}
    return recipe_with(catalog, flat, f"recipe {argument}:")

"""Recipes as people say them: a name, a few keys, a file; what is left open is the catalog's."""

import json
from dataclasses import replace

import pytest
import yaml

from recjobs.catalog.file import Catalog
from recjobs.catalog.recipes import recipe_of
from recjobs.core.recipe import Recipe
from recjobs.errors import Misuse

SHOP = Catalog.model_validate(
    {
        "name": "shop",
        "sources": [{"path": "a.csv", "columns": {"user_id": "u", "item_id": "i", "occurred_at": "t"}}],
        "model": {"factors": 16, "alpha": 3},
        "recency": {"half_life_days": 9},
        "kinds": {"buy": 5, "view": 1},
    }
)
KEPT = {"catalog": lambda: SHOP.recipe, "champion": lambda: Recipe(factors=99)}


def recipe(said):
    return recipe_of(SHOP, str(said), KEPT)


def test_a_kept_recipe_is_called_by_its_name():
    assert recipe("catalog") == SHOP.recipe
    assert recipe("champion") == Recipe(factors=99)


def test_keys_change_the_catalogs_recipe_and_nothing_else():
    assert recipe("factors=32,half_life_days=null") == replace(SHOP.recipe, factors=32, half_life_days=None)
    assert recipe("model.alpha=7, recency.half_life_days=2") == replace(SHOP.recipe, alpha=7, half_life_days=2)


@pytest.mark.parametrize("dump", [yaml.safe_dump, json.dumps])
def test_a_file_has_the_keys_of_a_catalog_or_of_a_recipe(tmp_path, dump):
    path = tmp_path / "a=b.file"
    path.write_text(dump({"model": {"factors": 32}, "recency": {"half_life_days": 2}}))
    assert recipe(path) == replace(SHOP.recipe, factors=32, half_life_days=2)
    other = Recipe(8, 2, 3, 4, None, "log", 5, (("buy", 1.0),), 0.5, 0.1, 20)
    path.write_text(dump(other.to_json()))
    assert recipe(path) == other


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("factors=many", "recipe factors=many: model.factors: 'many'"),
        ("factors=", "recipe factors=: model.factors: None"),
        ("factor=3", "recipe factor=3: model.factor: unknown key. Did you mean factors"),
        ("seen=allow", "recipe seen=allow: seen: is no part of a recipe"),
        ("factors=[1", "is no YAML"),
        ("champoin", "is neither catalog, champion, nor such as factors=32,alpha=5, nor a file that can be read"),
        ("/", "Is a directory"),
    ],
)
def test_what_is_no_recipe_is_misuse_and_says_why(said, why):
    with pytest.raises(Misuse) as refused:
        recipe(said)
    assert why in str(refused.value)


@pytest.mark.parametrize("content", ["- 1\n", "", "factors: [\n"])
def test_a_file_without_keys_is_misuse(tmp_path, content):
    (tmp_path / "recipe.yaml").write_text(content)
    with pytest.raises(Misuse, match="recipe"):
        recipe(tmp_path / "recipe.yaml")

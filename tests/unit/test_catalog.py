"""A catalog as typed values: what it may say, and how a mistake is named."""

import pytest
from pydantic import ValidationError

from recjobs.catalog.file import Catalog, explain
from recjobs.catalog.sources import Source, named
from recjobs.core.recipe import Recipe
from recjobs.errors import ColumnRefused, DataRefused, Misuse

SMALLEST = {
    "name": "shop",
    "sources": [{"path": "a.csv", "columns": {"user_id": "u", "item_id": "i", "occurred_at": "t"}}],
}


def catalog(**changes):
    return Catalog.model_validate(SMALLEST | changes)


def mistake(**changes):
    with pytest.raises(ValidationError) as caught:
        catalog(**changes)
    [line] = explain(caught.value)
    return line


def test_the_smallest_catalog_takes_the_defaults():
    shop = catalog()
    assert (shop.seen, shop.holdout_days, shop.min_holdout_users) == ("exclude", 30, 1000)
    assert (shop.top_n.stored, shop.top_n.served) == (100, 50)
    assert shop.recipe == Recipe(factors=64, alpha=20, regularization=20, iterations=15)


def test_the_recipe_is_gathered_from_model_recency_and_kinds():
    shop = catalog(
        model={"factors": 8, "weight_scale": "log"}, recency={"half_life_days": 7}, kinds={"view": 1, "purchase": 5}
    )
    assert shop.recipe == Recipe(
        factors=8, weight_scale="log", half_life_days=7, kinds=(("purchase", 5.0), ("view", 1.0))
    )


@pytest.mark.parametrize("name", ["a", "shop_2", "a" * 48, "publicity", "pgx"])
def test_a_name_is_lower_case_and_short(name):
    assert catalog(name=name).name == name


@pytest.mark.parametrize(
    "name",
    ["", "Shop", "2shop", "my-shop", "a" * 49, "shop\n", "shöp", "_x", "public", "information_schema", "pg_x", "../x"],
)
def test_any_other_name_is_refused(name):
    assert mistake(name=name).startswith("name: ")


SOURCE = SMALLEST["sources"][0]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"modell": {}}, "modell: unknown key. Did you mean model? Allowed: description, verb, mode, live, sources"),
        ({"model": {"factor": 3}}, "model.factor: unknown key. Did you mean factors? Allowed: factors, alpha"),
        ({"recency": {"x": 3}}, "recency.x: unknown key. Allowed: half_life_days"),
        (
            {"items": {"columns": {"titel": "x"}}},
            "items.columns.titel: unknown key. Did you mean title? Allowed: item_id",
        ),
        (
            {"sources": [SOURCE | {"wher": {}}]},
            "sources.0.wher: unknown key. Did you mean where? Allowed: path, format, delimiter, header, names, ",
        ),
        (
            {"sources": [SOURCE | {"where": {"mine": {"column": "x", "match": "y"}}}]},
            "sources.0.where.mine.match: unknown key. Did you mean matches? Allowed: column, is_empty",
        ),
        ({"model": {"factors": 0}}, "model.factors: 0 input should be greater than or equal to 1"),
        ({"model": {"factors": "many"}}, "model.factors: 'many' input should be a valid integer"),
        ({"model": {"factors": True}}, "model.factors: True is a switch where a number is needed"),
        ({"model": {"alpha": False}}, "model.alpha: False is a switch where a number is needed"),
        ({"model": {"alpha": float("nan")}}, "model.alpha: nan input should be a finite number"),
        ({"model": {"alpha": -1}}, "model.alpha: -1 input should be greater than 0"),
        ({"model": {"weight_scale": "sqrt"}}, "model.weight_scale: 'sqrt' input should be 'one', 'linear' or 'log'"),
        ({"kinds": {"view": 0}}, "kinds.view: 0 is no weight"),
        ({"seen": "maybe"}, "seen: 'maybe' input should be 'exclude' or 'allow'"),
        ({"gate": {"max_relative_drop": 5}}, "gate.max_relative_drop: 5 input should be less than or equal to 1"),
        ({"seed": -1}, "seed: -1 input should be greater than or equal to 0"),
        ({"sources": []}, "sources: [] tuple should have at least 1 item"),
        ({"sources": "a.csv"}, "sources: 'a.csv' input should be a valid tuple"),
        (
            {"sources": [{"path": "x", "columns": {"user_id": "u", "occurred_at": "t"}}]},
            "sources.0.columns.item_id: missing, and it is needed",
        ),
        (
            {"sources": [SOURCE | {"time": {"timezone": "Europe/Londn"}}]},
            "sources.0.time.timezone: 'Europe/Londn' is no IANA timezone, such as Europe/London",
        ),
        ({"schedule": {"timezone": "Mars/Base"}}, "schedule.timezone: 'Mars/Base' is no IANA timezone"),
        (
            {"sources": [SOURCE | {"where": {"mine": {"column": "x", "matches": "["}}}]},
            "sources.0.where.mine.matches: '[' is no regular expression",
        ),
        (
            {"sources": [SOURCE | {"where": {"mine": {"column": "x", "equals": "a", "at_most": 3}}}]},
            "sources.0.where.mine: {'column': 'x', 'equals': 'a', 'at_most': 3} needs exactly one of is_empty",
        ),
        (
            {"sources": [SOURCE | {"where": {"mine": {"column": "x"}}}]},
            "sources.0.where.mine: {'column': 'x'} needs exactly one of is_empty",
        ),
        (
            {"top_n": {"stored": 10, "served": 20}},
            "top_n: {'stored': 10, 'served': 20} served 20 is more than stored 10",
        ),
        (
            {"items": {"path": "i.csv", "columns": {"title": "t"}}},
            "items: {'path': 'i.csv', 'columns': {'title': 't'}} columns.item_id is needed",
        ),
    ],
)
def test_a_mistake_is_named_by_key_value_and_what_is_allowed(changes, line):
    said = mistake(**changes)
    assert said.startswith(line), said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"top_n": {"max_per_category": 3}}, "top_n.max_per_category needs items.columns.categories"),
        (
            {"items": {"columns": {"title": "t"}, "variants_by": "product_id"}},
            "items.variants_by: product_id needs items.columns.product_id",
        ),
    ],
)
def test_a_setting_of_lists_needs_the_column_that_it_goes_by(changes, said):
    assert said in mistake(**changes)
    items = {"items": {"columns": {"categories": "c", "product_id": "p"}} | changes.get("items", {})}
    items["items"]["columns"] = {"title": "t", "categories": "c", "product_id": "p"}
    assert catalog(**changes | items).items.columns.product_id == "p"


def test_missing_sources_are_named():
    with pytest.raises(ValidationError) as caught:
        Catalog.model_validate({"name": "shop"})
    assert list(explain(caught.value)) == ["sources: missing, and it is needed"]


def test_every_mistake_has_its_line():
    with pytest.raises(ValidationError) as caught:
        catalog(modle={}, seen="maybe", holdout_days=0)
    assert [line.split(":")[0] for line in sorted(explain(caught.value))] == ["holdout_days", "modle", "seen"]


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("factors", 32, lambda c: c.model.factors),
        ("model.factors", 32, lambda c: c.model.factors),
        ("half_life_days", 7, lambda c: c.recency.half_life_days),
        ("recency.half_life_days", 7, lambda c: c.recency.half_life_days),
        ("holdout_days", 7, lambda c: c.holdout_days),
        ("top_n.served", 7, lambda c: c.top_n.served),
        ("kinds.view", 3, lambda c: c.kinds["view"]),
        ("seen", "allow", lambda c: c.seen),
    ],
)
def test_an_override_sets_one_key(key, value, found):
    shop = catalog(kinds={"view": 1})
    changed = shop.with_overrides({key: value})
    assert found(changed) == value
    assert changed.with_overrides({key: found(shop)}) == shop


def test_a_value_may_be_taken_back_to_none():
    assert catalog(recency={"half_life_days": 7}).with_overrides({"half_life_days": None}).recipe.half_life_days is None


def test_no_overrides_change_nothing():
    assert catalog().with_overrides({}) == catalog()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("factor", 32, "model.factor: unknown key. Did you mean factors?"),
        ("modle.factors", 32, "--set modle.factors: there is no such key"),
        ("model.factors.x", 32, "--set model.factors.x: there is no such key"),
        ("sources.0.path", "x", "there is no such key"),
        ("factors", "many", "model.factors: 'many'"),
        ("factors", True, "is a switch"),
        ("name", "another", "a catalog is named by its file"),
        ("", 1, "unknown key"),
    ],
)
def test_an_override_that_cannot_be_is_misuse(key, value, said):
    with pytest.raises(Misuse, match=said.replace("?", r"\?").replace("(", r"\(")):
        catalog().with_overrides({key: value})


def test_a_catalog_does_not_change_under_anybodys_hands():
    with pytest.raises(ValidationError, match="frozen"):
        catalog().seed = 8


def test_a_catalog_and_back_by_json_is_the_same():
    shop = catalog(kinds={"view": 1}, items={"columns": {"title": "T"}}, recency={"half_life_days": 7})
    assert Catalog.model_validate(shop.model_dump(mode="json")) == shop


def test_a_schedule_is_a_cron_expression():
    assert catalog(schedule={"cron": "0 3 * * *"}).schedule.cron == "0 3 * * *"
    assert mistake(schedule={"cron": "every day"}).startswith("schedule.cron: 'every day' is no cron expression")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ColumnRefused("has type list, which holds no numbers", "weight"), "column 'item_id' has type list"),
        (ColumnRefused("is no column 'weight'", "kind"), "column 'what' is no column 'weight'"),
        (DataRefused("column 'item_id' holds ids that are not UTF-8 text"), "column 'item_id' holds ids"),
        (DataRefused("the line that begins with column 'kind' is cut"), "begins with column 'kind'"),
    ],
)
def test_a_column_has_the_sources_name_in_a_message_and_other_text_stays_as_it_is(error, said):
    columns = {"user_id": "weight", "item_id": "user_id", "occurred_at": "kind", "weight": "item_id", "kind": "what"}
    source = Source.model_validate({"path": "a.csv", "columns": columns})
    with pytest.raises(DataRefused) as caught, named(source, ["a.csv"]):
        raise error
    assert str(caught.value).startswith("a.csv: ")
    assert said in str(caught.value)

"""When a search precedes a night."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from recjobs.catalog.files import load_catalog
from recjobs.catalog.tune import searches_first
from recjobs.operations import first_search

FILE = {"sources": [{"path": "a.csv", "columns": {"user_id": "u", "item_id": "i", "occurred_at": "t"}}]}


@pytest.mark.parametrize(
    ("keys", "does"),
    [
        ({}, True),
        ({"tune": {"first_night_minutes": 0.5}}, True),
        ({"tune": {"first_night_minutes": 0}}, False),
        ({"model": {"weight_scale": "log"}}, True),  # as `recjobs init` writes it where weights are ratings
        ({"recency": {"half_life_days": 30}, "kinds": {"view": 1}}, True),
        ({"model": {"factors": 64}}, False),  # the default, but chosen by somebody
        ({"model": {"weight_scale": "log", "blend": 0.3}}, False),
    ],
)
def test_a_search_comes_first_where_the_file_names_no_hyperparameter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any], does: bool
) -> None:
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(FILE | keys))
    monkeypatch.setenv("RECJOBS_CATALOGS", str(tmp_path))
    catalog = load_catalog("shop")
    assert searches_first(catalog) is does
    given = first_search.run(catalog, as_of=None, overrides={"model.factors": 8})
    assert given == {"searched": False, "why": "the recipe is given"}, "a recipe for this night alone"

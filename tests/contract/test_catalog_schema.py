"""The JSON Schema of a catalog file says of a file what `recjobs` says of it, as far as a schema can."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from recjobs.catalog.file import Catalog, json_schema
from recjobs.config import ROOT
from tests.worlds import CATALOG

# as an editor reads it: keys are texts
SCHEMA = json.loads(json.dumps(json_schema()))
CHECK = Draft202012Validator(SCHEMA)
FILES = sorted((ROOT / "catalogs").glob("*.yaml"))
GOOD = {"sources": [{"path": "a.csv", "columns": {"user_id": "u", "item_id": "i", "occurred_at": "t", "weight": "w"}}]}


def problems(text: str) -> list[str]:
    tree = json.loads(json.dumps(yaml.safe_load(text)))
    return [f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in CHECK.iter_errors(tree)]


def changed(path: str, value: Any) -> str:
    """A good catalog with one key set; `sources.0.path` and the like, null removes it."""
    tree: Any = json.loads(json.dumps(GOOD))
    *branches, leaf = [int(part) if part.isdigit() else part for part in path.split(".")]
    node = tree
    for branch in branches:
        node = node[branch] if isinstance(branch, int) else node.setdefault(branch, {})
    node[leaf] = value
    if value is None:
        del node[leaf]
    return str(yaml.safe_dump(tree))


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("text", [*(path.read_text() for path in FILES), yaml.safe_dump(CATALOG)])
def test_a_good_catalog_is_good_for_an_editor_too(text: str):
    assert problems(text) == []


def test_what_the_docstrings_say_is_shown_while_typing():
    assert "One select statement" in SCHEMA["$defs"]["Source"]["properties"]["sql"]["description"]
    assert "Between the fields" in SCHEMA["$defs"]["Items"]["properties"]["delimiter"]["description"]
    assert "as of its logical date" in SCHEMA["properties"]["live"]["description"]


def test_a_catalog_is_named_by_its_file():
    assert "name" not in SCHEMA["properties"]
    assert "name" not in SCHEMA["required"]
    assert problems(changed("name", "shop")) == [": Additional properties are not allowed ('name' was unexpected)"]


COLUMNS = {"user_id": "u", "item_id": "i", "occurred_at": "t"}
GOOD_KEYS: list[tuple[str, Any]] = [
    ("sources.0.delimiter", "\t"),
    ("sources.0.delimiter", "::"),
    ("sources.0", {"path": "u", "columns": COLUMNS, "header": False, "names": ["u", "i", "t"]}),
    ("sources.0.skip_lines", 3),
    ("sources.0.comment", "#"),
    ("sources.0.quote", "none"),
    ("sources.0.escape", "\\"),
    ("sources.0.encoding", "cp1252"),
    ("sources.0.decimal", ","),
    ("sources.0.rating_to_weight", {"3": 1, "5": 2.5}),
    ("sources.0.format", "jsonl"),
    ("sources.0.repeats", "sum"),
    ("sources.0.explode", "items"),
    ("sources.0.partitions", {"dt": {"since": "2025-01-01"}}),
    ("sources.0.join", {"path": "o.csv", "on": "order", "key": "id", "columns": ["u"], "delimiter": ";"}),
    ("sources.0.time", {"format": "%d.%m.%Y", "timezone": "Europe/Berlin"}),
    ("sources.0.time", {"unit": "excel"}),
    ("sources.0", {"path": "a.csv", "columns": {"user_id": "u", "item_id": "i"}, "time": "none"}),
    ("sources.0", {"path": "a.csv", "columns": {"user_id": "u", "item_id": "i"}, "time": {"unit": "none"}}),
    ("items", {"path": "i.csv", "columns": {"item_id": "i"}, "unknown": "train_only", "separator": " > "}),
    ("limits.nobody", ["guest", "0"]),
    ("limits.min_known_items", 0),
    ("engine", "spark"),
    ("verb", "played"),
    ("use_gpu", "required"),
    ("tune", {"first_night_minutes": 0, "first_night_trials": 1}),
    ("kinds", {"purchase": 5, "return": -2.5}),
    ("sources.0.where", {"cancelled": {"column": "c", "is_empty": True}}),
    ("items", {"columns": {"title": "t"}}),
    ("users", {"sql": "select 1", "connection": "shop", "columns": {"user_id": "u"}}),
    ("schedule", {"cron": "0 3 * * *", "timezone": "Europe/London"}),
]
WRONG_KEYS: list[tuple[str, Any]] = [
    ("engine", "flink"),
    ("verb", "eaten"),
    ("use_gpu", "yes please"),
    ("tune.first_night_minutes", -1),
    ("tune.first_night_trials", 0),
    ("sources", []),
    ("sources", None),
    ("sources.0.columns.item_id", None),
    ("sources.0.pth", "a.csv"),
    ("sources.0.format", "xlsx"),
    ("sources.0.delimiter", ":\n"),
    ("sources.0.delimiter", '"'),
    ("sources.0.header", False),
    ("sources.0.names", ["u", "i", "t"]),
    ("sources.0.skip_lines", -1),
    ("sources.0.comment", "##"),
    ("sources.0.quote", "off"),
    ("sources.0.escape", "e"),
    ("sources.0.encoding", "utf-7"),
    ("sources.0.decimal", ";"),
    ("sources.0.sql", "select 1"),
    ("sources.0.connection", "shop"),
    ("sources.0.time", {"unit": "ns"}),
    ("sources.0.time", "none"),
    ("sources.0.time", "never"),
    ("sources.0.columns.occurred_at", None),
    ("sources.0.repeats", "add"),
    ("sources.0.explode", ""),
    ("sources.0.partitions", {"dt": "2025-01-01"}),
    ("sources.0.join", {"path": "o.csv", "on": "order", "columns": []}),
    ("sources.0.join", {"on": "order", "columns": ["u"]}),
    ("sources.0.join", {"sql": "select 1", "connection": "shop", "on": "order", "columns": ["u"]}),
    ("sources.0.time", {"format": 7}),
    ("items", {"columns": {"title": "t"}, "separator": ""}),
    ("limits.nobody", "guest"),
    ("limits.min_known_items", 1.5),
    ("sources.0.rating_to_weight", {}),
    ("sources.0.rating_to_weight", {"3": 0}),
    ("sources.0.where", {"cancelled": {"is_empty": True}}),
    ("items", {"columns": {"titel": "t"}}),
    ("items", {"columns": {}, "unknown": "drop"}),
    ("users", {"connection": "shop", "columns": {"user_id": "u"}}),
    ("users", {"sql": "select 1", "connection": "Shop", "columns": {"user_id": "u"}}),
    ("kinds", {"purchase": 0}),
    ("kinds", {"purchase": "many"}),
    ("seen", "never"),
    ("mode", "delta"),
    ("holdout_days", 0),
    ("holdout_days", True),
    ("top_n.stored", 0),
    ("model.factors", 1.5),
    ("limits.max_rejected_share", 1.1),
    ("limits.repeated", "stop"),
    ("seed", -1),
]


@pytest.mark.parametrize(("path", "value"), GOOD_KEYS, ids=str)
def test_what_recjobs_takes_is_taken(path: str, value: Any):
    text = changed(path, value)
    Catalog.model_validate({**yaml.safe_load(text), "name": "shop"})
    assert problems(text) == []


@pytest.mark.parametrize(("path", "value"), WRONG_KEYS, ids=str)
def test_what_recjobs_refuses_is_marked(path: str, value: Any):
    text = changed(path, value)
    with pytest.raises(ValueError, match="validation error"):
        Catalog.model_validate({**yaml.safe_load(text), "name": "shop"})
    assert problems(text) != []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_catalog_file_names_its_schema(path):
    assert path.read_text().startswith("# yaml-language-server: $schema=.schema.json\n")


def test_make_writes_the_schema_anew_when_anything_it_is_made_of_changes():
    code = "import sys, recjobs.catalog.file; print(*(m.__file__ for n, m in sys.modules.items() if 'recjobs.c' in n))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    sources = {Path(file).relative_to(ROOT) for file in loaded.stdout.split()} - {Path("recjobs/core/__init__.py")}
    assert Path("recjobs/core/recipe.py") in sources
    command = ["make", "--dry-run", "--print-data-base", "catalogs/.schema.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rule = next(line for line in done.stdout.splitlines() if line.startswith("catalogs/.schema.json:"))
    expected = {*map(str, sources), "recjobs/cli/serving.py", "requirements.txt"}
    assert expected <= set(rule.split()[1:])

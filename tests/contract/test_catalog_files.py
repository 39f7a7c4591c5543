"""The catalogs that come with the product are what their files say, and cheap to read."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from recjobs.catalog.files import load_catalog, load_catalogs
from recjobs.config import ROOT, Settings

SETTINGS = Settings(RECJOBS_CATALOGS=ROOT / "catalogs", _env_file=None)
FILES = sorted((ROOT / "catalogs").glob("*.yaml"))


def test_there_is_a_real_shop_and_a_generated_one():
    assert {"online_retail", "sample"} <= set(load_catalogs(SETTINGS))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_file_says_is_what_its_catalog_is(path: Path):
    found = load_catalog(path.stem, SETTINGS).model_dump(mode="json")

    def holds(said, is_, where):
        if isinstance(said, dict):
            for key, value in said.items():
                holds(value, is_[key], f"{where}.{key}")
        elif isinstance(said, list):
            for index, (value, kept) in enumerate(zip(said, is_, strict=True)):
                holds(value, kept, f"{where}.{index}")
        else:
            assert said == is_, where

    holds(yaml.safe_load(path.read_text()), found, path.stem)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_catalog_says_what_it_is(path: Path):
    assert load_catalog(path.stem, SETTINGS).description


def test_every_excluded_row_of_the_real_shop_has_a_rule_with_a_name():
    [source] = load_catalog("online_retail", SETTINGS).sources
    assert set(source.where) == {"anonymous", "cancelled_invoice", "not_goods"}


def test_reading_the_catalogs_imports_nothing_heavy():
    code = "import sys; from recjobs.catalog import files; files.load_catalogs(); print(*sys.modules, sep='\\n')"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert not {"numpy", "pandas", "pyarrow", "scipy", "implicit", "mlflow", "psycopg2"} & set(out.split())

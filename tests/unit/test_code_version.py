"""The code version of a night: it changes with what decides the result, and with nothing else."""

import shutil
from pathlib import Path

import pytest

from recjobs.config import ROOT
from recjobs.night.night import code_version

FOLDERS = ("recjobs", "sql", "webapp")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code, in another place."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    return tmp_path


def test_equal_code_has_the_same_version_wherever_it_lies(copy: Path):
    assert code_version(copy) == code_version() == code_version(ROOT)


@pytest.mark.parametrize(
    "place",
    [
        "recjobs/core/recipe.py",
        "recjobs/core/model/*.c",
        "recjobs/reports/*.jinja",
        "sql/queries/publish/*.sql",
        "sql/migrations/*/0001-*.sql",
        "requirements.txt",
    ],
)
def test_it_changes_with_what_decides_a_night(copy: Path, place: str):
    before = code_version(copy)
    path = min(copy.glob(place))
    path.write_bytes(path.read_bytes() + b"\n")
    assert code_version(copy) != before
    path.rename(path.with_stem("another"))
    assert code_version(copy) != before


@pytest.mark.parametrize("place", ["sql/examples.sql", "sql/queries/webapp/*.sql", "webapp/*.py", "recjobs/*.yaml"])
def test_it_stays_where_only_the_web_app_or_a_person_would_notice(copy: Path, place: str):
    before = code_version(copy)
    path = min(copy.glob(place))
    path.write_bytes(path.read_bytes() + b"\n")
    assert code_version(copy) == before

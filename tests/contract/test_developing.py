"""What a developer uses besides the tests themselves: markers, hooks before a commit, `make clean`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.commands import ROOT
from tests.conftest import TESTS

HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
FAULTS = {
    "lint": ("recjobs/planted.py", '"""A module."""\n\nimport os\n'),
    "format": ("recjobs/planted.py", '"""A module."""\n\nimport os\n\nPATH=os.sep\n'),
    "YAML parses": ("planted.yaml", "a: [1\n"),
    "TOML parses": ("planted.toml", "a = [1\n"),
    "no file over 1 MB": ("planted.bin", "x" * 1_100_000),
}


def test_every_test_has_the_marker_of_its_folder_and_selecting_by_it_works(request: pytest.FixtureRequest):
    for item in request.session.items:
        assert item.get_closest_marker(item.path.relative_to(TESTS).parts[0]), item.nodeid
        assert bool(item.get_closest_marker("slow")) >= bool(item.get_closest_marker("soak")), item.nodeid
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    files = ["tests/unit/test_batch_ids.py", "tests/contract/test_release.py"]
    done = subprocess.run([*collect, "-m", "unit", *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert set(re.findall(r"^tests/\w+/\w+\.py", done.stdout, re.MULTILINE)) == {files[0]}, done.stdout + done.stderr


def test_markers_are_strict_and_contributing_explains_each(request: pytest.FixtureRequest):
    assert request.config.getoption("strict_markers")
    ours = ("unit", "contract", "integration", "e2e", "soak", "slow")
    known = [line.split(":")[0] for line in request.config.getini("markers")]
    assert set(ours) <= set(known)
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert [name for name in ours if f"`{name}`" not in page] == []


def test_there_are_at_most_six_hooks_and_none_comes_from_elsewhere():
    assert [repo["repo"] for repo in HOOKS] == ["local"]
    assert len(HOOKS[0]["hooks"]) <= 6
    assert {hook["language"] for hook in HOOKS[0]["hooks"]} == {"system"}
    assert {hook["name"] for hook in HOOKS[0]["hooks"]} == {*FAULTS, "import contracts"}


def outcomes(checkout: Path) -> dict[str, str]:
    """What each hook says of a repository."""
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=checkout, check=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {"PRE_COMMIT_HOME": str(checkout.parent / "hooks"), "SKIP": "import-linter"}
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--all-files", "--color", "never"],
        cwd=checkout, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return dict(re.findall(r"^(.+?)\.+(?:\(.*?\))?(Passed|Failed|Skipped)$", done.stdout, re.MULTILINE))


def test_every_hook_finds_a_planted_fault_and_lets_a_sound_commit_pass(tmp_path: Path):
    checkout = tmp_path / "checkout"
    (checkout / "recjobs").mkdir(parents=True)
    (checkout / ".venv").symlink_to(Path(sys.executable).parents[1])
    (checkout / ".gitignore").write_text(".venv\n.ruff_cache\n")
    for name in (".pre-commit-config.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout)
    (checkout / "recjobs" / "sound.py").write_text('"""A module."""\n')
    assert outcomes(checkout) == dict.fromkeys(FAULTS, "Passed") | {"import contracts": "Skipped"}
    for path, text in FAULTS.values():
        (checkout / path).write_text(text)
    (checkout / "recjobs" / "unused.py").write_text(FAULTS["lint"][1])
    assert outcomes(checkout) == dict.fromkeys(FAULTS, "Failed") | {"import contracts": "Skipped"}


def test_clean_removes_caches_and_nothing_that_somebody_needs(tmp_path: Path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    kept = (
        ".venv/lib/__pycache__/a.pyc",
        ".local/env",
        ".local/__pycache__/b.pyc",
        "data/rows.csv",
        "recjobs/night.py",
    )
    gone = (
        "recjobs/__pycache__/c.pyc", "tests/unit/__pycache__/d.pyc", ".ruff_cache/e", ".mypy_cache/f", "build/g",
        "recjobs.egg-info/h", ".coverage.host.1", "htmlcov/index.html", ".hypothesis/i",
    )  # fmt: skip
    for name in (*kept, *gone):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    assert [name for name in gone if (tmp_path / name).exists()] == []

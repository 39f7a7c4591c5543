"""A release is one tag: pyproject's version, the changelog, the images' labels and `/info` agree."""

from pathlib import Path

import pytest

from recjobs.config import ROOT
from tests.release import disagreements, image_versions, tags_of, version_of
from webapp.api.release import version

IMAGE = "docker/webapp/Dockerfile"
DOCKERFILE = """ARG BASE=python
FROM ${BASE}
ARG VERSION=0.2.0
LABEL org.opencontainers.image.title="recjobs-webapp" \\
      org.opencontainers.image.version="${VERSION}"
"""
CHANGELOG = "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-12-01\n\n## 0.1.0 - 2026-11-01\n"


def test_this_checkout_agrees_with_itself_and_with_its_tags():
    assert disagreements(ROOT, tags_of(ROOT)) == []
    assert set(image_versions(ROOT)) == {str(p.relative_to(ROOT)) for p in (ROOT / "docker").glob("*/Dockerfile")}


def test_the_web_app_says_the_version_of_pyproject():
    assert version() == version_of(ROOT), "run `make install`: another version is installed"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout at release 0.2.0."""
    (tmp_path / "docker" / "webapp").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / IMAGE).write_text(DOCKERFILE)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("pyproject.toml", "0.2.0", "0.3.0", "CHANGELOG.md: its newest release is 0.2.0, pyproject.toml has 0.3.0"),
        ("pyproject.toml", "0.2.0", "0.3.0", "tag v0.2.0: pyproject.toml has 0.3.0"),
        ("pyproject.toml", "0.2.0", "0.2", "pyproject.toml: 0.2 is no version such as 0.2.0 or 0.2.0rc1"),
        ("CHANGELOG.md", "## 0.2.0", "## Next", "CHANGELOG.md: its newest release is 0.1.0, pyproject.toml has 0.2.0"),
        ("CHANGELOG.md", "## 0.2.0", "## Next", "tag v0.2.0: CHANGELOG.md has no heading `## 0.2.0 - YYYY-MM-DD`"),
        (IMAGE, "VERSION=0.2.0", "VERSION=0.1.0", f"{IMAGE}: labelled 0.1.0, pyproject.toml has 0.2.0"),
        (IMAGE, "VERSION=0.2.0", "VERSION", f"{IMAGE}: labelled no default, pyproject.toml has 0.2.0"),
        (IMAGE, '"${VERSION}"', '"0.1.9"', f"{IMAGE}: labelled 0.1.9, pyproject.toml has 0.2.0"),
        (IMAGE, "image.version", "image.revision", f"{IMAGE}: labelled no version, pyproject.toml has 0.2.0"),
    ],
)
def test_every_disagreement_is_found(checkout: Path, file: str, old: str, new: str, found: str):
    assert disagreements(checkout, ["v0.2.0", "nightly"]) == []
    path = checkout / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert found in disagreements(checkout, ["v0.2.0"])


def test_before_the_first_release_nothing_but_the_labels_has_to_agree(checkout: Path):
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    assert disagreements(checkout, []) == []
    assert disagreements(checkout, ["v0.2.0"]) == ["tag v0.2.0: CHANGELOG.md has no heading `## 0.2.0 - YYYY-MM-DD`"]

"""docs/architecture.md is true: its floors are the contracts', its files exist, and it stays a page one reads."""

import re
import tomllib

import pytest

from recjobs.config import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
LAYERS = {c["containers"][0]: c["layers"] for c in CONTRACTS if c["type"] == "layers" and "containers" in c}


@pytest.mark.parametrize("container", LAYERS)
def test_the_drawing_has_the_floors_of_the_contract(container: str) -> None:
    drawn = re.search(rf"<!-- floors of {re.escape(container)} -->\n(.*?)<!-- end of floors -->", PAGE, re.DOTALL)
    assert drawn, f"docs/architecture.md draws no floors of {container}"
    rooms = [re.split(r"\s{2,}", line.strip())[0] for line in drawn[1].splitlines()]
    assert rooms == LAYERS[container]
    assert len(rooms) <= 12


def test_every_file_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:recjobs|webapp|sql|docs|local|dags|benchmarks)/[\w./-]*)`", PAGE))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_module_of_a_room_of_core_that_the_page_names_exists() -> None:
    for room in ("search", "evaluation", "lists", "model", "rows"):
        line = next(line for line in PAGE.splitlines() if line.startswith(f"    {room} "))
        names = [
            re.sub(r"\s*\(.*?\)", "", name).strip() for name in re.split(r"[,;:]", re.split(r"\s{2,}", line.strip())[1])
        ]
        modules = {path.stem for path in (ROOT / "recjobs" / "core" / room).glob("*.py")}
        assert [name for name in names if re.fullmatch(r"[a-z_]+", name) and name not in modules] == []


def test_it_is_a_page_that_one_reads() -> None:
    assert len(PAGE.splitlines()) <= 200


def test_a_reader_finds_the_file_to_touch() -> None:
    table = PAGE.split("## Where to touch")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|", table, re.MULTILINE))
    for change in (
        "a rule kind", "a source format", "a metric of the evaluation", "a field of an API item", "a popularity window",
        "a gate check", "a CLI verb", "a page", "a database role", "an alert's metric", "a retention setting",
        "an engine",
    ):  # fmt: skip
        assert re.search(r"`[\w./]+/[\w./]*`", rows.get(change, "")), change

"""The house: sizes and names of modules, docstrings, a first comment in each query, and no address of the workshop."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from recjobs.config import ROOT

OURS = ("recjobs", "webapp", "dags", "local", "benchmarks", "acceptance")
MODULES = sorted(path for folder in OURS for path in (ROOT / folder).rglob("*.py"))
QUERIES = sorted((ROOT / "sql" / "queries").rglob("*.sql"))
MIGRATIONS = sorted((ROOT / "sql" / "migrations").rglob("*.sql"))
OBJECTS = sorted(p for folder in ("functions", "views", "grants") for p in (ROOT / "sql" / folder).rglob("*.sql"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_module_is_longer_than_300_lines_and_nine_in_ten_are_under_200():
    lines = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert [name for name, n in lines.items() if n > 300] == []
    assert sum(n < 200 for n in lines.values()) >= 0.9 * len(lines)


def test_no_module_is_called_after_nothing():
    empty = {"utils", "util", "common", "helpers", "helper", "misc", "base"}
    assert [name_of(path) for path in MODULES if path.stem in empty or path.parent.name in empty] == []


@pytest.mark.parametrize("path", [p for p in MODULES if p.stat().st_size], ids=name_of)
def test_everything_public_has_a_docstring_that_begins_with_a_sentence(path):
    tree = ast.parse(path.read_text())
    documented = [(path.stem, tree), *_public(tree.body)]
    for name, node in documented:
        said = ast.get_docstring(node)
        assert said, f"{name_of(path)}: {name} has no docstring"
        first = re.split(r"\n\n|(?<=[.:?!)])\s", said)[0]
        assert first[-1] in ".:?!)'`\"" or name == path.stem, f"{name_of(path)}: {name}: {first!r} is no sentence"


def _public(body, prefix=""):
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name.startswith("_") or _is_a_command_or_an_accessor(node):
                continue
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef) and not any(getattr(b, "id", "") == "Protocol" for b in node.bases):
                yield from _public(node.body, f"{node.name}.")


def _is_a_command_or_an_accessor(node):
    """A setter says nothing new; what io.RawIOBase asks for (writable, write, tell) is explained there."""
    return any(isinstance(d, ast.Attribute) and d.attr == "setter" for d in getattr(node, "decorator_list", []))


@pytest.mark.parametrize("path", QUERIES, ids=name_of)
def test_every_query_begins_by_saying_what_a_row_is(path):
    text = path.read_text()
    assert re.match(r"-- (A row is|The one row|No row)", text), text.splitlines()[0]
    plain = re.sub(r"\$\$.*?\$\$", "body", re.sub(r"--.*", "", text), flags=re.DOTALL)
    statements = [s.strip() for s in plain.split(";") if s.strip()]
    assert sum(not s.startswith("set ") for s in statements) <= 1


@pytest.mark.parametrize("path", MIGRATIONS, ids=name_of)
def test_every_migration_begins_with_a_comment(path):
    assert path.read_text().startswith("-- ")


@pytest.mark.parametrize("path", [*QUERIES, *MIGRATIONS, *OBJECTS], ids=name_of)
def test_sql_keywords_are_lower_case(path):
    text = re.sub(r"--.*|'[^']*'|\$\$", "", path.read_text())
    assert re.findall(r"\b(SELECT|FROM|WHERE|INSERT|UPDATE|CREATE|TABLE|GRANT|BEGIN|RETURNS)\b", text) == []


def test_every_query_lies_in_a_folder_and_its_name_tells_it_from_the_others_of_recjobs():
    names = [path.stem for path in QUERIES if path.parent.name != "webapp"]
    assert sorted(set(names)) == sorted(names)
    assert {path.parent.parent.name for path in QUERIES} == {"queries"}


def test_no_query_of_recjobs_only_calls_a_function():
    """`Session.call` does, without a file."""
    bare = re.compile(r"select (\* from )?\w+\(((%\(\w+\)s(::\w+)?(, )?)*)\)( as \w+)?;?")
    code = {p: re.sub(r"--.*", "", p.read_text()).strip() for p in QUERIES if p.parent.name != "webapp"}
    assert [name_of(path) for path, text in code.items() if bare.fullmatch(text)] == []


def test_every_query_is_used():
    code = "\n".join(path.read_text() for path in MODULES)
    assert [name_of(p) for p in QUERIES if f'"{p.stem}"' not in code] == []


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def test_there_is_nothing_to_do_in_the_code():
    for path in MODULES:
        assert not re.search(r"#.*\b(TODO|FIXME|XXX)\b", path.read_text()), name_of(path)


def test_nothing_is_pickled():
    for path in MODULES:
        assert not re.search(r"\b(import pickle|import joblib|allow_pickle=True)\b", path.read_text()), name_of(path)


def test_no_file_names_a_place_outside_the_checkout():
    # written so that this file does not name them either
    places = [b"/wo" + b"rk/", b"shared/" + b"design", b".lib" + b"rary/"]
    for path in tracked():
        content = path.read_bytes()
        assert not [place for place in places if place in content], name_of(path)

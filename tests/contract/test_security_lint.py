"""ruff's security rules hold for all that is shipped: they find planted faults, and every exception has a reason."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from recjobs.config import ROOT

SHIPPED = ("recjobs", "webapp", "local", "dags", "acceptance")
PLANTED = '''
"""A module with a fault of each kind."""

import hashlib, pickle, random, subprocess, tempfile, xml.etree.ElementTree  # S403, S405
import requests, yaml, jinja2


def faults(given, cursor):
    """Do what must not be done."""
    subprocess.run(given, shell=True)  # S602
    eval(given)  # S307
    exec(given)  # S102
    pickle.loads(given)  # S301
    hashlib.md5(given)  # S324
    yaml.load(given, yaml.Loader)  # S506
    requests.get("https://shop.example", verify=False)  # S501, S113
    cursor.execute(f"select * from top_n where user_id = '{given}'")  # S608
    open("/tmp/lists")  # S108
    jinja2.Environment(autoescape=False)  # S701
    assert given  # S101
    token = random.random()  # S311
    tempfile.mktemp()  # S306
    try:
        faults(given, password="from the source")  # S106
    except Exception:
        pass  # S110
'''


def found_in(path: str, text: str) -> set[str]:
    """The security rules that a module with this text breaks, by the settings of `make check`."""
    command = [sys.executable, "-m", "ruff", "check", "--output-format", "concise", "--stdin-filename", path, "-"]
    done = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False)
    return set(re.findall(r": (S\d{3}) ", done.stdout))


@pytest.mark.parametrize("folder", SHIPPED)
def test_every_planted_fault_is_found(folder: str):
    expected = {code for codes in re.findall(r"# (S\d{3}.*)", PLANTED) for code in codes.split(", ")}
    assert len(expected) > 15
    assert expected - found_in(f"{folder}/planted.py", PLANTED) - {"S403", "S405"} == set()
    assert found_in(f"{folder}/planted.py", '"""Nothing is wrong here."""\n') == set()


def test_no_file_that_is_shipped_is_exempt_and_every_exception_is_at_its_line_with_a_reason():
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    assert not any(code.startswith("S") and code != "SIM" for code in lint["ignore"])
    exempt = {path: codes for path, codes in lint["per-file-ignores"].items() if any(c[0] == "S" for c in codes)}
    assert set(exempt) == {"tests/**", "benchmarks/**"}
    lines = [
        (path.relative_to(ROOT), line)
        for folder in SHIPPED
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in path.read_text().splitlines()
        if re.search(r"noqa: .*\bS\d{3}", line)
    ]
    assert len(lines) > 10
    assert [(Path(path), line) for path, line in lines if not re.search(r"noqa: (\w+, )*S\d{3} - \w.{4,}", line)] == []
    bare = [p for folder in SHIPPED for p in (ROOT / folder).rglob("*.py") if re.search(r"# noqa(?!:)", p.read_text())]
    assert bare == []

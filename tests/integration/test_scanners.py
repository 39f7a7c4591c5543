"""The scanners find what is planted for them, and nothing in the product that no suppression accepts."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from recjobs.config import ROOT

PYTHON = ROOT / ".venv-scan" / "bin" / "python"
CHEAP = ("hadolint", "shellcheck", "yamllint", "schemas", "actionlint", "zizmor", "licences")
SUPPRESSIONS = ROOT / "scanners" / "suppressions.yaml"


@pytest.fixture(autouse=True)
def _installed() -> None:
    if not PYTHON.exists():
        pytest.skip("`make scan` installs the scanners")


def scan(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PYTHON, "-m", "scanners", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600)


def test_the_product_is_clean_and_every_planted_fault_is_found() -> None:
    done = scan(*CHEAP)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [*CHEAP]


@pytest.mark.soak
@pytest.mark.skipif("RECJOBS_SOAK" not in os.environ, reason="`.ci/run scan` runs it")
def test_make_scan_passes_whole() -> None:
    done = subprocess.run(["make", "scan"], cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checkov: " in done.stdout


def test_a_finding_fails_and_goes_into_the_sarif_file(tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text("[]")
    done = scan("zizmor", "--suppressions", tmp_path / "none.yaml", "--sarif", tmp_path / "found.sarif")
    assert done.returncode == 1, done.stderr
    assert "ci.yml:" in done.stdout
    log = json.loads((tmp_path / "found.sarif").read_text())
    (run,) = log["runs"]
    assert (log["version"], run["tool"]["driver"]["name"]) == ("2.1.0", "zizmor")
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert {place["artifactLocation"]["uri"] for place in places} == {
        ".github/workflows/ci.yml",
        ".github/workflows/delivery.yml",
    }, "no planted fault"
    image = next(place for place, result in zip(places, run["results"], strict=True) if "images" in result["ruleId"])
    lines = (ROOT / image["artifactLocation"]["uri"]).read_text().splitlines()
    assert "debian:" in lines[image["region"]["startLine"] - 1]


def test_a_suppression_needs_a_reason_and_something_to_suppress(tmp_path: Path) -> None:
    file = tmp_path / "suppressions.yaml"
    stale = {"scanner": "licences", "rule": "GPL-2.0-only", "reason": "not shipped, used by tests only"}
    file.write_text(yaml.safe_dump([*yaml.safe_load(SUPPRESSIONS.read_text()), stale]))
    done = scan("licences", "--suppressions", file)
    assert done.returncode == 70
    assert "licences GPL-2.0-only : suppressed, but not found any more" in done.stderr
    file.write_text(yaml.safe_dump([stale | {"reason": "ok"}]))
    assert "licences GPL-2.0-only has no reason" in scan("licences", "--suppressions", file).stderr


def test_a_comment_that_silences_a_scanner_needs_a_reason_on_its_line_or_above(tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text(
        "#!/bin/sh\n# shellcheck disable=SC2086\na $b\n# shellcheck disable=SC2086  # a list of words\nc $d\n"
        "# The list is split on purpose.\n# shellcheck disable=SC2086\ne $f\n"
    )
    code = "import sys; from scanners import findings; print([*findings.inline_suppressions(sys.argv[1:])])"
    done = subprocess.run([PYTHON, "-c", code, script], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert re.findall("message='(.*?)'", done.stdout) == ["", "a list of words", "The list is split on purpose."]


def test_at_most_ten_are_suppressed(tmp_path: Path) -> None:
    file = tmp_path / "suppressions.yaml"
    entry = {"scanner": "zizmor", "rule": "unpinned-uses", "reason": "a reason of some words", "path": "a.yml"}
    file.write_text(yaml.safe_dump([entry] * 10))
    done = scan("yamllint", "--suppressions", file)
    assert done.returncode == 70
    assert re.search(r"1[1-9] suppressions; at most 10", done.stderr), "ten, and those in comments"


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        ("lambda paths: iter(())", "hadolint did not find what was planted for it: DL3004, DL3007"),
        ("lambda paths: tools._run('hadolint', '--no-such-option')", "hadolint gave no result: ScannerFailed"),
        ("lambda paths: tools._run('no-such-tool')", "hadolint gave no result: FileNotFoundError"),
    ],
)
def test_a_scanner_that_does_not_work_is_no_clean_product(instead: str, said: str) -> None:
    code = f"""if True:
        import sys
        from dataclasses import replace
        from scanners import __main__ as command, tools
        broken = replace(tools.SCANNERS[0], findings={instead})
        command.SCANNERS = (broken, *tools.SCANNERS[1:])
        sys.exit(command.main(["hadolint", "yamllint"]))"""
    done = subprocess.run([PYTHON, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 70
    assert said in done.stderr
    assert "yamllint: " in done.stdout, "the others still run"


LICENCES = {
    "MIT": True,
    "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0": True,
    "MPL-2.0 AND (Apache-2.0 OR MIT)": True,
    "Artistic License; GNU General Public License (GPL)": True,
    "GNU Library or Lesser General Public License (LGPL)": True,
    "GPL-3.0-only": False,
    "MIT AND GPL-2.0-or-later": False,
    "GNU Affero General Public License v3": False,
    "AGPL-3.0": False,
    "UNKNOWN": False,
    "Proprietary": False,
}


def test_what_may_be_shipped() -> None:
    code = "import sys; from scanners.licences import allowed; print([allowed(name) for name in sys.argv[1:]])"
    done = subprocess.run([PYTHON, "-c", code, *LICENCES], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.stdout.strip() == str([*LICENCES.values()])


def test_licences_are_read_of_every_package_that_the_jobs_image_installs() -> None:
    done = scan("licences")
    assert done.stdout == "licences: 2 files, 0 findings, 0 suppressed, 2 of 2 planted faults found\n"
    code = (
        "from scanners import licences as of\n"
        "list(of.findings(['requirements-kubernetes.txt']))\n"
        "of.INSTALLED = of.INSTALLED[:1]\n"
        "list(of.findings(['requirements-kubernetes.txt']))\n"
    )
    done = subprocess.run([PYTHON, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert "OSError: packages of requirements-kubernetes.txt are not installed here: " in done.stderr
    assert "apache-airflow-providers-cncf-kubernetes" in done.stderr

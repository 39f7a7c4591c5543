"""Help and `status` answer at once because they import nothing that they do not use: told by Python's own list of
imports of the real command, not by a clock."""

import re
import subprocess
import sys

import pytest

from tests.commands import ROOT, environment_of

HEAVY = {
    "airflow", "boto3", "implicit", "matplotlib", "mlflow", "numpy", "pandas", "pyarrow", "s3fs", "scipy", "sklearn",
    "sqlalchemy",
}  # fmt: skip
LIGHT = {"croniter", "jinja2", "psutil", "psycopg2", "pydantic", "pydantic_settings", "rich", "yaml"}
"""What `status` may use of it, and help must not."""


@pytest.fixture
def imported(tmp_path):
    """Runs a command line in a new process: the packages it imported. There is no database; the catalog is `shop`."""
    (tmp_path / "shop.yaml").write_text(
        "sources: [{path: a.csv, columns: {user_id: u, item_id: i, occurred_at: t}}]\nschedule: {cron: 0 3 * * *}\n"
    )
    settings = {"RECJOBS_CATALOGS": str(tmp_path), "RECJOBS_STATE": str(tmp_path / "state")}

    def run(*arguments, code=0, **more):
        command = [sys.executable, "-X", "importtime", "-m", "recjobs", *arguments]
        environment = environment_of(settings | more)
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr[-2000:]
        names = re.findall(r"^import time: *\d+ \| *\d+ \| *([\w.]+)$", done.stderr, re.MULTILINE)
        assert "recjobs.cli" in names
        return {name.partition(".")[0] for name in names}

    return run


@pytest.mark.parametrize(
    "arguments", [("--help",), ("night", "--help"), ("status", "--help"), ("tune", "--help")], ids=" ".join
)
def test_help_imports_click_and_our_command_line_alone(imported, arguments):
    assert imported(*arguments) & (HEAVY | LIGHT) == set()


def test_status_imports_what_reads_catalog_files_and_asks_postgres_and_no_more(imported):
    silent = imported("status", RECJOBS_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert silent & HEAVY == set()
    assert silent & LIGHT <= {"croniter", "psutil", "psycopg2", "pydantic", "pydantic_settings", "yaml"}
    assert "psycopg2" in silent


def test_what_a_command_does_import_is_seen(imported):
    assert {"numpy", "pyarrow"} <= imported("rejected", "--catalog", "shop", code=64)

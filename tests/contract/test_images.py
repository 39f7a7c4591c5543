"""The images before they are built: what they copy is there and complete, and locks, labels and users agree."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest

from recjobs.adapters import spark
from tests.commands import ROOT
from tests.image_files import NAMES, Dockerfile, files_of, is_sent, lay_out

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
DISTRIBUTIONS = packages_distributions()
LOCKS = sorted(path.stem for path in ROOT.glob("requirements*.in"))


def pins(lock: str) -> dict[str, set[str]]:
    """Package -> the versions that a lock names, of which the interpreter's version may choose one."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(
        r"^([a-z0-9][a-z0-9.-]*)==([^ \\]+)", (ROOT / f"{lock}.txt").read_text(), re.MULTILINE
    ):
        found.setdefault(name, set()).add(version)
    return found


def asked_for(lock: str) -> set[str]:
    lines = (ROOT / f"{lock}.in").read_text().splitlines()
    return {re.split(r"[=<>\[\s]", line)[0].lower() for line in lines if line.strip() and line[0] not in "#-"}


def third_party(folder: Path, but: str = "") -> set[str]:
    """The packages whose modules the code of a folder imports, but for one module."""
    modules = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.add(str(node.module).split(".")[0])
    of = DISTRIBUTIONS
    ours = {*sys.stdlib_module_names, folder.name, "_typeshed", but}
    return {of[module][0].lower().replace("_", "-") for module in modules - ours}


def test_an_image_copies_only_files_that_are_there_and_that_docker_is_sent():
    for name in NAMES:
        copied = Dockerfile(name).copied
        assert copied
        for source, _ in copied:
            assert files_of(source), f"docker/{name}/Dockerfile copies {source}"
    sources = [source for name in NAMES for source, _ in Dockerfile(name).copied]
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    unused = [
        path
        for path in allowed
        if not any(f"{path}/".startswith(f"{s}/") or f"{s}/".startswith(f"{path}/") for s in sources)
    ]
    assert unused == []


@pytest.mark.parametrize("name", [".env", ".git/config", ".local/env", "tests/conftest.py", "local/stack.py",
                                  "requirements-dev.txt", "webapp/__pycache__/wsgi.cpython-311.pyc",
                                  "recjobs/core/__pycache__/recipe.pyc", "catalogs/.schema.json"])  # fmt: skip
def test_no_secret_no_test_and_no_leftover_reaches_a_build(name: str):
    assert not is_sent(name)
    assert is_sent("webapp/wsgi.py")
    assert is_sent("recjobs/core/recipe.py")


def site_of(lock: str, folder: Path, without: str = "") -> Path:
    """Of what is installed here, the packages of a lock alone."""
    folder.mkdir()
    for name in pins(lock):
        if name == without:
            continue
        try:
            found = distribution(name)
        except ModuleNotFoundError:
            continue  # another interpreter's
        for file in found.files or ():
            top = file.parts[0]
            if top != ".." and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(found.locate_file(top))))
    return folder


IMPORT_ALL = """
import importlib, json, pkgutil, sys
sys.path[:] = [*sys.argv[1:], *(p for p in sys.path if "site-packages" not in p)]
import webapp
names = [m.name for m in pkgutil.walk_packages(webapp.__path__, "webapp.") if m.name != "webapp.wsgi"]
for name in names:
    importlib.import_module(name)
from webapp.settings import Settings
app = webapp.create_app(Settings.load({"RECJOBS_WEB_URL": "postgresql://nobody@127.0.0.1:9/none"}))
answer = app.test_client().get("/healthz", headers={"Host": "127.0.0.1"})
print(json.dumps([len(names), answer.status_code, sorted({m.split(".")[0] for m in sys.modules})]))
"""


def start_of_webapp(tmp_path: Path, without: str = "") -> subprocess.CompletedProcess[str]:
    app = lay_out("webapp", tmp_path)
    site = site_of("requirements-webapp", tmp_path / "site", without)
    command = [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(app), str(site)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_web_app_starts_from_its_images_files_and_the_packages_of_its_lock_alone(tmp_path: Path):
    done = start_of_webapp(tmp_path)
    assert done.returncode == 0, done.stderr
    n_modules, status, modules = json.loads(done.stdout)
    assert n_modules > 30
    assert status == 200
    assert not {"numpy", "pandas", "airflow", "mlflow", "recjobs", "boto3"} & set(modules)
    statements = len(list((ROOT / "sql/queries/webapp").glob("*.sql")))
    assert len(list((tmp_path / "app/sql").rglob("*.sql"))) == statements > 0


def test_a_package_that_the_lock_lacks_is_noticed(tmp_path: Path):
    done = start_of_webapp(tmp_path, without="orjson")
    assert done.returncode == 1
    assert "No module named 'orjson'" in done.stderr


def test_what_the_web_app_imports_is_what_its_lock_asks_for():
    assert third_party(ROOT / "webapp", but="opentelemetry") == asked_for("requirements-webapp")
    assert third_party(ROOT / "webapp") - asked_for("requirements-webapp") <= set(pins("requirements-tracing"))


def test_what_the_jobs_image_imports_of_ours_is_in_it(tmp_path: Path):
    app = lay_out("jobs", tmp_path)
    missing = set()
    for path in app.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [str(node.module)]
            else:
                continue
            for module in modules:
                place = app / module.replace(".", "/")
                if module.split(".")[0] in ("recjobs", "local", "webapp", "tests", "benchmarks"):
                    missing |= set() if place.is_dir() or place.with_suffix(".py").is_file() else {(path.name, module)}
    assert missing == set()
    for tree in ("recjobs", "dags", "sql", "catalogs"):
        tracked = subprocess.run(["git", "ls-files", tree], cwd=ROOT, capture_output=True, text=True, check=False)
        assert [name for name in tracked.stdout.split() if not (app / name).is_file()] == []


def test_a_night_has_the_same_code_version_in_the_image(tmp_path: Path):
    from recjobs.night.night import code_version

    assert code_version(lay_out("jobs", tmp_path)) == code_version(ROOT)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_what_is_asked_for_with_hashes(lock: str):
    assert asked_for(lock) - {"requirements.txt"} <= set(pins(lock))
    text = (ROOT / f"{lock}.txt").read_text()
    assert len(re.findall(r"^[a-z0-9][^ ]*==.*\\\n    --hash=sha256:", text, re.MULTILINE)) == sum(
        map(len, pins(lock).values())
    )


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if "-c requirements.txt" in (ROOT / f"{lock}.in").read_text()])
def test_a_lock_beside_the_default_one_has_the_same_versions(lock: str):
    default, own = pins("requirements"), pins(lock)
    assert {name: own[name] for name in own.keys() & default if not own[name] <= default[name]} == {}


def test_each_packages_lock_of_an_image_is_constrained_by_the_default_one_and_the_default_one_does_not_grow():
    for lock in ("webapp", "gpu", "tracing", "kubernetes", "spark", "databases", "tables"):
        assert "-c requirements.txt" in (ROOT / f"requirements-{lock}.in").read_text()
    extras = ("nvidia-", "rmm-", "cuda-", "pyspark", "py4j", "duckdb", "deltalake", "pyiceberg")
    assert [name for name in pins("requirements") if name.startswith(extras)] == []


@pytest.mark.parametrize("name", NAMES)
def test_labels_version_and_user_are_those_of_the_product(name: str):
    file = Dockerfile(name)
    assert f"VERSION={VERSION}" in file.arguments("ARG")
    labels = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="([^"]*)"', " ".join(file.arguments("LABEL"))))
    assert labels["title"] == f"recjobs-{name}"
    assert labels["version"] == "${VERSION}"
    assert labels["revision"] == "${REVISION}"
    assert {"description", "source", "licenses", "base.name"} <= labels.keys()
    assert file.arguments("USER")[-1] == "10001:10001"
    assert len(file.arguments("HEALTHCHECK")) == 1
    tag = f"JOBS_TAG={VERSION}" if name == "jobs-gpu" else "BASE_TAG=3.11-slim-bookworm"
    assert tag in file.arguments("ARG")
    image = file.arguments("FROM")[-1]
    assert labels["base.name"] == image
    assert image.endswith("recjobs-jobs:${JOBS_TAG}" if name == "jobs-gpu" else "python:${BASE_TAG}")


def test_the_web_app_and_the_jobs_begin_from_the_same_base_and_make_the_same_user():
    webapp, jobs = Dockerfile("webapp"), Dockerfile("jobs")
    assert webapp.arguments("ARG")[:2] == jobs.arguments("ARG")[:2]
    assert {*webapp.arguments("FROM")} == {*jobs.arguments("FROM")}
    users = [[run for run in file.arguments("RUN") if "useradd" in run] for file in (webapp, jobs)]
    assert users[0] == users[1] != []


def test_java_and_spark_are_in_the_jobs_image_only_where_it_is_asked_for():
    parts = re.findall(r"\$\{SPARK:\+[^}]*\}", " ".join(Dockerfile("jobs").arguments("RUN")))
    assert Dockerfile("jobs").arguments("ARG").count('SPARK=""') == len(parts) == 2  # an ARG ends with its stage

    def words(asked: str) -> list[str]:
        shell = ["sh", "-c", f"echo {' '.join(parts)}"]
        return subprocess.run(shell, env={"SPARK": asked}, capture_output=True, text=True, check=True).stdout.split()

    assert words("") == []
    assert words("yes") == ["-r", "requirements-spark.txt", f"openjdk-{spark.JAVA}-jre-headless"]
    assert {"pyspark", "py4j"} <= set(pins("requirements-spark"))


def test_make_installs_the_locks_of_extras_and_names_those_there_are_for_another():
    make = ["make", "--no-print-directory", "EXTRAS=gpu", "-n", "install"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "local/install.sh requirements.txt requirements-gpu.txt" in done.stdout, done.stderr
    script = ["sh", "local/install.sh", "requirements.txt", "requirements-nope.txt"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 64
    assert "there is no requirements-nope.txt: EXTRAS may be:" in done.stderr
    assert "gpu" in done.stderr
    assert "webapp" not in done.stderr

"""The images built for real and run as they are meant to be: as nobody, on a root that cannot be written.

Takes about a quarter of an hour and 10 GB, so only `make soak` does it; each image is built when a test first needs it
(`-k second_build` builds the web app's alone). STORAGE=/a/folder keeps what was built.
"""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import ports
from tests import containers
from tests.commands import ROOT
from tests.containers import Image, Storage
from tests.contract.test_images import VERSION, pins
from tests.image_files import NAMES
from tests.s3_server import Server, running
from tests.worlds import MakeWorld, World

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("RECJOBS_SOAK" not in os.environ, reason="building the images takes a quarter of an hour"),
]

BASE = "localhost/python:3.11-slim-bookworm"
MOST_MB = 120
"""What the web app's image may add to its base."""


def image_name(name: str) -> str:
    return f"localhost/recjobs-{name}:{VERSION}"


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    with containers.storage(tmp_path_factory.mktemp("images")) as storage:
        yield storage


def unpacked(storage: Storage, name: str) -> Iterator[Image]:
    storage.build(name)
    image = Image(storage, image_name(name))
    yield image
    image.remove()


@pytest.fixture(scope="module")
def webapp(storage: Storage) -> Iterator[Image]:
    yield from unpacked(storage, "webapp")


@pytest.fixture(scope="module")
def jobs(storage: Storage) -> Iterator[Image]:
    yield from unpacked(storage, "jobs")


@pytest.fixture(scope="module")
def jobs_gpu(storage: Storage, jobs: Image) -> Iterator[Image]:
    assert jobs, "which it is built on"
    yield from unpacked(storage, "jobs-gpu")


@pytest.fixture(scope="module")
def s3() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def night(jobs: Image, make_world: MakeWorld, s3: Server) -> World:
    """A world whose night ran in the jobs image, with its artifacts in S3."""
    world = make_world()
    volumes = {world.catalogs: "/app/catalogs", world.data: "/app/data"}
    settings = {
        f"RECJOBS_{role.upper()}_URL": url_of(world, role) for role in ("owner", "loader", "publisher", "reader")
    }
    settings |= s3.settings | {"RECJOBS_ARTIFACTS": f"s3://bucket/{world.name}", "RECJOBS_THREADS": "1"}
    settings |= {"MLFLOW_TRACKING_URI": "sqlite:////tmp/mlflow.db"}
    out = jobs.run("recjobs", "night", "--catalog", world.name, "--json", volumes=volumes, **settings)
    done = json.loads(out.splitlines()[-1])
    assert done["steps"]["publish"]["moved"], done
    return world


def url_of(world: World, role: str) -> str:
    cluster = world.postgres.cluster
    name = {"owner": "recjobs_migrator"}.get(role, f"recjobs_{role}")
    login = cluster.url(name).partition("@")[0]
    return f"{login}@127.0.0.1:{cluster.port}/recjobs"


def everybodys(image: Image) -> set[str]:
    """What everybody may write in an image, were its root not read-only."""
    command = ["find", str(image.root), "-xdev", "-perm", "-o+w", "-not", "-type", "l", "-printf", "/%P\n"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return {place for place in found if not place.startswith(("/dev", "/proc"))}


def answer(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as response:
        return json.loads(response.read())


@pytest.mark.usefixtures("webapp", "jobs", "jobs_gpu")
def test_sizes(storage: Storage, figure: Callable[[str], None]):
    sizes = storage.sizes()
    base = sizes[BASE]
    for name in NAMES:
        figure(f"recjobs-{name}: {sizes[image_name(name)]:.0f} MB, of which the base {base:.0f} MB")
    assert sizes[image_name("webapp")] - base <= MOST_MB
    assert sizes[image_name("jobs")] - base > MOST_MB, "the same limit finds an image that is too large"


def test_each_runs_as_nobody_on_a_root_that_it_cannot_write(webapp: Image, jobs: Image, jobs_gpu: Image):
    for image in (webapp, jobs, jobs_gpu):
        assert image.run("id", "-u").strip() == image.run("id", "-g").strip() == "10001"
        for place in ("/app", "/opt/venv", "/etc", "/opt"):
            image.run("sh", "-c", f"! touch {place}/x 2>/dev/null")
        image.run("sh", "-c", "touch /tmp/x")
        assert everybodys(image) == {"/tmp", "/var/tmp", "/run/lock"}
        (image.root / "opt/planted").touch()
        (image.root / "opt/planted").chmod(0o666)
        assert "/opt/planted" in everybodys(image)


def test_the_night_of_the_jobs_image_is_served_by_the_web_apps(night: World, webapp: Image, s3: Server):
    port = ports.any_free()
    environment = {"RECJOBS_WEB_URL": url_of(night, "web"), "WEBAPP_PORT": str(port), "WEBAPP_OPEN": "true"}
    process = subprocess.Popen(webapp.command(**environment), stderr=subprocess.DEVNULL)
    try:
        health = webapp.config["Healthcheck"]
        assert health["Test"][0] == "CMD"
        give_up = time.monotonic() + 120
        check = webapp.command(*health["Test"][1:], **environment)
        while subprocess.run(check, capture_output=True, check=False).returncode:
            assert process.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.2)
        users = night.rows("select user_id, item_ids from served_lists where user_id like 'user%%' order by 1 limit 20")
        assert len(users) == 20
        for row in users:
            got = answer(f"http://127.0.0.1:{port}/v1/{night.name}/recommendations?user_id={row['user_id']}&n=10")
            assert [item["item_id"] for item in got["items"]] == row["item_ids"][:10]
        info = answer(f"http://127.0.0.1:{port}/info")
        labels = webapp.config["Labels"]
        assert info["version"] == labels["org.opencontainers.image.version"] == VERSION
        assert info["commit"] == labels["org.opencontainers.image.revision"] != ""
    finally:
        containers.terminate(process)
    assert process.wait(60) == 0
    unanswered = subprocess.run(check, capture_output=True, check=False)
    assert unanswered.returncode, "the health check fails where nothing answers"
    assert any("/publish/" in name for name in s3.objects)


PARSE = """
import json, sys
from pathlib import Path
from airflow.configuration import conf
from airflow.dag_processing.dagbag import BundleDagBag
folder = conf.get("core", "dags_folder")
bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
print(json.dumps([sorted(bag.dags), {str(file): error for file, error in bag.import_errors.items()}]))
"""


def test_airflow_reads_the_dags_of_the_jobs_image(jobs: Image, tmp_path: Path):
    settings = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////tmp/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": "/tmp/logs",
    }
    dags, errors = json.loads(jobs.run("python", "-c", PARSE, **settings).splitlines()[-1])
    catalogs = {path.stem for path in (ROOT / "catalogs").glob("*.yaml")}
    assert errors == {}
    assert set(dags) == {f"{verb}_{name}" for name in catalogs for verb in ("nightly", "tune")} | {
        "roll_back",
        "prune",
        "back_up",
    }

    tmp_path.chmod(0o755)
    (tmp_path / "x.yaml").write_text("no yaml: [")
    out = jobs.run("python", "-c", PARSE, volumes={tmp_path: "/app/catalogs"}, **settings)
    assert "x.yaml: not YAML" in str(json.loads(out.splitlines()[-1])[1]), "and finds a catalog file that is broken"
    version = jobs.run("sh", "-c", "airflow db migrate >/tmp/said 2>&1 && airflow version 2>/dev/null", **settings)
    assert version.split()[-1] in pins("requirements")["apache-airflow"]


CLUSTER = """
import airflow.configuration
from airflow.executors.executor_loader import ExecutorLoader
from airflow.logging_config import get_remote_task_log
print(ExecutorLoader.get_default_executor_name().module_path, type(get_remote_task_log()).__name__)
"""


def test_airflow_of_the_jobs_image_makes_pods_and_keeps_logs_on_s3_as_the_charts_values_say(jobs: Image):
    values = yaml.safe_load((ROOT / "k8s/airflow/values.yaml").read_text())
    settings = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////tmp/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": "/tmp/logs",
        "AIRFLOW__CORE__EXECUTOR": values["executor"],
        **{f"AIRFLOW__LOGGING__{key.upper()}": value for key, value in values["config"]["logging"].items()},
    }
    executor, logs = jobs.run("python", "-c", CLUSTER, **settings).split()[-2:]
    assert executor.startswith("airflow.providers.cncf.kubernetes.")
    assert logs == "S3RemoteLogIO"
    assert "cleanup-pods" in jobs.run("airflow", "kubernetes", "--help", **settings), "which the chart's cleanup calls"


@pytest.mark.parametrize(
    ("name", "locks"),
    [
        ("webapp", ("requirements-webapp", "requirements-tracing")),
        ("jobs", ("requirements", "requirements-kubernetes")),
    ],
)
def test_the_bill_of_materials_names_what_the_locks_install(
    name: str, locks: tuple[str, ...], request: pytest.FixtureRequest
):
    image = request.getfixturevalue(name)
    bill = json.loads((image.root / f"usr/local/share/sbom/recjobs-{name}.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert "serialNumber" not in bill
    assert bill["metadata"]["timestamp"][:19] == image.docker["created"][:19]
    named = {part["name"].lower().replace("_", "-").replace(".", "-"): part["version"] for part in bill["components"]}
    assert named.pop("recjobs") == VERSION
    locked = {package.replace(".", "-"): versions for lock in locks for package, versions in pins(lock).items()}
    assert {package: version for package, version in named.items() if version not in locked.get(package, set())} == {}
    assert len(named) > 0.9 * len(locked)


def test_the_gpu_image_loads_implicits_cuda_solver_as_far_as_that_goes_without_a_card(jobs_gpu: Image, jobs: Image):
    look = "from recjobs.core.model import cuda; import implicit.gpu as g; print(cuda.defect()); print(dir(g))"
    without, loaded = jobs_gpu.run("python", "-c", look).splitlines()
    assert "CUDA driver" in without
    assert "LeastSquaresSolver" in loaded
    without, loaded = jobs.run("python", "-c", look).splitlines()
    assert "rmm is not installed" in without
    assert "LeastSquaresSolver" not in loaded
    assert jobs_gpu.layers[: len(jobs.layers)] == jobs.layers


def test_a_second_build_gives_the_same_layers(storage: Storage, webapp: Image):
    before = webapp.layers
    time_of_commit = str(int(datetime.fromisoformat(webapp.docker["created"][:19] + "+00:00").timestamp()))
    storage.build("webapp", VERSION=f"{VERSION}-again", SOURCE_DATE_EPOCH=time_of_commit)  # who builds may commit
    again = Image(storage, f"localhost/recjobs-webapp:{VERSION}-again")
    assert again.layers == before
    again.remove()
    storage.build("webapp", VERSION=f"{VERSION}-later", SOURCE_DATE_EPOCH="1")
    later = Image(storage, f"localhost/recjobs-webapp:{VERSION}-later")
    assert later.layers[-1] != before[-1], "the comparison sees another time"
    later.remove()

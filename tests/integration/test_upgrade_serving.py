"""Expand and contract: the release before and this one serve side by side on one database, before and after migrating.

The platform of the commit before the images has its state made by its own code. Then the Job `migration` of this code
runs under load, by the rendered manifest; its web app comes up beside the old one behind nginx, both serve, and the
old one leaves. No request may fail meanwhile, and no list be wrong. In `make soak` what migrates and what serves anew
are the images, built; else this checkout.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from local.postgres import Cluster
from tests.checkouts import code_of
from tests.commands import ROOT
from tests.containers import Image, storage
from tests.contract.test_images import VERSION
from tests.kubernetes import overlay
from tests.load import Load, batch_of
from tests.pods import run_migration, tcp
from tests.replicas import Nginx, Replica, status, unmeasured
from tests.webapp_world import World, free_port
from tests.worlds import soak

pytestmark = pytest.mark.soak

BEFORE = "2683f340dd9f49220a38569e50c6fc50e9cf6ce2"
SEEDS = {f"2024010{day}T000000Z-1": day for day in range(1, 5)}
FIRST, SECOND, THIRD, FOURTH = SEEDS
REQUESTS = soak(50_000)
SOAKING = REQUESTS == 50_000
PROGRAM = """
import sys
from pathlib import Path
from local.postgres import Cluster
from recjobs.adapters.migrations import migrate_database
from recjobs.adapters.postgres import Database
from recjobs.adapters.migrations import migrate_catalog, migrate_database
from recjobs.adapters.postgres import Database
from tests.load import batch_of
from tests.webapp_world import World
what, state, port, batch_id, seed = sys.argv[1:]
world = World.__new__(World)
world.cluster = Cluster(Path(state), int(port))
if what == "migrate":
    migrate_database(Database(world.url()))
    world.make_catalog("shop", "A shop")
world.publish("shop", batch_of(batch_id, int(seed)))
"""
"""What the release before does, by its own code: migrate as `recjobs migrate` does, and publish a batch."""
MARK = "which-release.txt"
"""A file that only the earlier checkout has among its static ones: its web app is known by it."""


class ReleaseBefore:
    """The checkout of the commit before, whose code acts on the database."""

    def __init__(self, code: Path, cluster: Cluster) -> None:
        self.code, self._cluster = code, cluster

    def publish(self, batch_id: str, what: str = "publish") -> None:
        """Publish a batch; what: `migrate` migrates first."""
        arguments = (what, self._cluster.state, self._cluster.port, batch_id, SEEDS[batch_id])
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *map(str, arguments)],
            cwd=self.code, env=unmeasured({"PYTHONPATH": str(self.code)}), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("upgrade"), free_port())
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def before(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> ReleaseBefore:
    """The release before, with its schema and a live batch."""
    code = code_of(BEFORE, tmp_path_factory.mktemp("before"))
    (code / "webapp" / "static" / MARK).write_text(BEFORE)
    release = ReleaseBefore(code, cluster)
    release.publish(FIRST, "migrate")
    return release


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Image]]:
    """The images of the web app and of the jobs, in `make soak`."""
    if not SOAKING:
        yield {}
        return
    with storage(tmp_path_factory.mktemp("images")) as stored:
        stored.build("webapp", "jobs")
        found = {name: Image(stored, f"localhost/recjobs-{name}:{VERSION}") for name in ("webapp", "jobs")}
        yield found
        for image in found.values():
            image.remove()


def test_both_releases_serve_while_one_takes_the_others_place(
    images: dict[str, Image], cluster: Cluster, before: ReleaseBefore, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    world = World.__new__(World)  # on a server that this code has not migrated
    world.cluster = cluster

    # `make soak` keeps the deadlines of production. Beside other tests, or others' work, a machine may be too busy for
    # these: it would answer 503 for the sake of its load and not of the upgrade.
    calm = SOAKING and os.getloadavg()[0] <= 1.5 * (os.cpu_count() or 1)
    patience = {} if calm else {"WEBAPP_STATEMENT_TIMEOUT_MS": "4000", "WEBAPP_REQUEST_TIMEOUT_MS": "4500"}
    # By TCP: an image's processes do not see the socket.
    reader = {name: f"{tcp(world, 'recjobs_reader')}?application_name={name}" for name in ("old", "other", "beside")}
    new: Path | Image = images.get("webapp", ROOT)
    old, other = (
        Replica(world, name, tmp_path, code=before.code, RECJOBS_READER_URL=reader[name], **patience)
        for name in ("old", "other")
    )
    replicas = [old, other]
    try:
        for replica in replicas:
            replica.wait_until_ready()
        beside = Replica(world, "beside", tmp_path, code=new, RECJOBS_READER_URL=reader["beside"], **patience)
        replicas.append(beside)  # the new release: not ready until the schema is its own
        nginx = Nginx([replica.port for replica in replicas], tmp_path / "nginx")
        happenings = [
            partial(
                run_migration, overlay("production"), tcp(world, "admin"), tmp_path / "migration", images.get("jobs")
            ),
            beside.wait_until_ready,
            partial(before.publish, SECOND),  # a night of the release before, on the new schema
            partial(old.replace, new),
            partial(world.publish, "shop", batch_of(THIRD, SEEDS[THIRD])),
            partial(world.sql, "select roll_back(null, 'a test')", role="recjobs_publisher", catalog="shop"),
            partial(other.replace, new),
            partial(world.publish, "shop", batch_of(FOURTH, SEEDS[FOURTH])),
            partial(old.replace, before.code),  # the roll-back of a release: the schema stays
        ]
        try:
            with Load(nginx.port, SEEDS, REQUESTS) as load:
                for k, happen in enumerate(happenings, 1):
                    load.wait_for(k * REQUESTS // (len(happenings) + 1))
                    happen()
                    load.wait_for(load.answered + 100)
                report = load.stop()
        finally:
            nginx.stop()
        assert (report.failed, report.unavailable, report.torn, report.examples) == (0, 0, 0, [])
        assert report.requests >= REQUESTS
        assert set().union(*report.batches()) == set(SEEDS)
        assert [runs_the_release_before(replica) for replica in replicas] == [True, False, False]
        answered = re.findall(r'"status":(?:200|304),.*?"upstream":"127\.0\.0\.1:(\d+)"', nginx.log.read_text())
        assert {replica.port for replica in replicas} <= {int(port) for port in answered}
        figure(
            f"upgrade: {report.requests} requests, {report.failed} failed, {report.unavailable} 503, {report.torn} torn"
            f"; {'from images' if images else 'from this checkout'}"
            f"; deadlines {'of production' if calm else 'longer, for the load of this machine'}"
        )
    finally:
        for replica in replicas:
            replica.terminate()
        for replica in replicas:
            replica.wait()


def runs_the_release_before(replica: Replica) -> bool:
    return status(f"http://127.0.0.1:{replica.port}/static/{MARK}") == 200


def test_a_clone_without_the_history_is_told_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"this test needs the commit 0000000.*git fetch --unshallow"):
        code_of("0" * 40, tmp_path)

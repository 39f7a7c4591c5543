"""What any test may ask for: a Postgres with its roles, worlds to run nights in, and a shop with two batches."""

import contextlib
import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import recjobs.config  # first: it gives BLAS one thread, which must be said before numpy comes  # noqa: F401

import pytest  # isort: skip

from local import ports
from local.postgres import Cluster
from recjobs.adapters.postgres import SQL
from tests.batches import catalog_without_batches
from tests.checkouts import Checkout
from tests.commands import ROOT, environment_of
from tests.statsd_listener import StatsdListener
from tests.worlds import EARLIER, Goods, MakeWorld, Postgres, World, shop

_numbers = itertools.count(1)
TESTS = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test has the marker of its folder; what runs the whole platform or counts is slow as well."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        item.add_marker(folder)
        if folder == "e2e" or item.get_closest_marker("soak"):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A Postgres of this session, after `recjobs migrate`: the roles are there, and no catalog."""
    folder = tmp_path_factory.mktemp("postgres")
    cluster = Cluster(folder, ports.any_free())
    cluster.start()
    try:
        settings = cluster.urls() | {"RECJOBS_STATE": str(folder), "RECJOBS_CATALOGS": str(folder / "none")}
        command = [sys.executable, "-m", "recjobs", "migrate", "--json"]
        postgres = Postgres(cluster)
        postgres.do_not_wait_for_the_disk()
        subprocess.run(command, cwd=ROOT, env=environment_of(settings), check=True, capture_output=True)
        yield postgres
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """MLflow's store of this session; all worlds share it, since to make one takes ten seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture(scope="session")
def make_world(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, mlflow_uri: str) -> MakeWorld:
    """Makes a world that no other test has: `make_world(goods, top_n={...})`."""

    def make(goods: Goods | None = None, **changes: object) -> World:
        number = next(_numbers)
        world = World(tmp_path_factory.mktemp("world"), f"world_{number}", postgres, mlflow_uri)
        return world.write(shop() if goods is None else goods, **changes)

    return make


@pytest.fixture(scope="session")
def published(make_world: MakeWorld) -> World:
    """The shop after two nights, the second live: to look at, never to change."""
    world = make_world()
    world.publish("--as-of", EARLIER)
    world.publish()
    return world


@pytest.fixture(scope="session")
def _two_batches(make_world: MakeWorld) -> World:
    world = make_world()
    world.publish("--as-of", EARLIER)
    world.publish()
    return world


@pytest.fixture
def rolling(_two_batches: World) -> World:
    """Another shop after two nights, whose pointer a test may move; the newest batch is live when the test begins."""
    world = _two_batches
    newest = world.value("select batch_id from batches order by as_of desc, batch_id desc limit 1")
    if world.live() != newest:
        assert world.recjobs("roll-back", "--batch-id", newest, "--reason", "another test").code == 0
    return world


@pytest.fixture
def checkout(make_world: MakeWorld, tmp_path: Path) -> Checkout:
    """This code, and a catalog that nobody has migrated yet."""
    return Checkout(Path(shutil.copytree(SQL, tmp_path / "sql")), make_world())


@pytest.fixture
def statsd() -> Iterator[StatsdListener]:
    """Hears what is sent to `statsd.settings`."""
    listener = StatsdListener()
    yield listener
    listener.close()


@pytest.fixture
def empty(make_world: MakeWorld) -> World:
    """A catalog in which nothing is published."""
    return catalog_without_batches(make_world)


@pytest.fixture
def editor(empty: World) -> Iterator[Any]:
    """A connection of an editor, in a transaction."""
    with contextlib.closing(empty.postgres.connect("recjobs_editor", empty.name)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("set idle_in_transaction_session_timeout = 0")  # for a busy machine
        connection.autocommit = False
        yield connection


_figures = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Notes a line that `make soak` prints at its end."""
    return request.config.stash.setdefault(_figures, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_figures, []):
        terminalreporter.write_line(line)

"""The web app's world as fixtures; a test module names this file in its `pytest_plugins`."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from tests.webapp_world import (
    FIRST_NIGHT,
    SECOND_NIGHT,
    Batch,
    World,
    close_idle_connections,
    publish_two_nights,
    shop_batch,
    start_world,
)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server with two catalogs: `shop`, where a batch is live, and `empty`, where none is."""
    world = start_world(tmp_path_factory.mktemp("webapp_world"))
    try:
        world.make_catalog("empty")
        world.make_catalog("shop", "Tea & <cake>, a shop for tests")
        world.publish("shop", shop_batch())
        report = "<!doctype html><style>h1 {color: teal}</style><h1>A night</h1><script>alert(1)</script>"
        world.sql(
            "select record_report(%s, %s)", "20240101T000000Z-1", report, role="recjobs_publisher", catalog="shop"
        )
        yield world
    finally:
        world.cluster.stop()


@pytest.fixture(scope="session")
def batch() -> Batch:
    """What is live in `shop`."""
    return shop_batch()


@pytest.fixture(scope="session")
def nights(world: World) -> tuple[str, str]:
    """The catalog `nights` with two batches, the second live, and the third night running: to look at."""
    world.make_catalog("nights")
    publish_two_nights(world, "nights")
    return FIRST_NIGHT, SECOND_NIGHT


@pytest.fixture(autouse=True)
def _idle_connections_are_closed() -> Iterator[None]:
    yield
    close_idle_connections()


@pytest.fixture
def client(world: World) -> FlaskClient:
    """A client of an app of its own."""
    return world.client()

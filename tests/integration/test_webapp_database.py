"""The app and its database: how it reads, and what happens when the database is away, slow, or back."""

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from flask.testing import FlaskClient

from tests.replicas import wait_for
from tests.webapp_world import PATIENT, World, shop_batch, start_world, two_nights
from tests.worlds import soak
from webapp import create_app
from webapp.api.errors import Unavailable
from webapp.postgres.connection import Connection, DeadlinePassed, Statement, first_ready
from webapp.postgres.connection_pool import ConnectionPool
from webapp.settings import ROOT, Settings

pytest_plugins = ["tests.webapp_fixtures"]

ADDRESS = "/v1/shop/recommendations?user_id=u0001"
PROMISED_SECONDS = 0.3
SLACK_SECONDS = 0.4
"""A shared machine may take a break; what the promise rules out are whole seconds."""


def timed(client: FlaskClient, path: str = ADDRESS) -> tuple[int, str | None, float]:
    started = time.monotonic()
    response = client.get(path)
    code = None if response.status_code == 200 else response.json["error"]["code"]
    if response.status_code == 503:
        assert response.headers["Retry-After"] == "1"
    return response.status_code, code, time.monotonic() - started


def assert_unavailable_in_time(client: FlaskClient, path: str = ADDRESS) -> None:
    status, code, seconds = timed(client, path)
    assert (status, code) == (503, "database_unavailable")
    assert seconds < PROMISED_SECONDS + SLACK_SECONDS


@pytest.fixture
def own_world(tmp_path: Path) -> Iterator[World]:
    """A server that the test may stop."""
    world = start_world(tmp_path)
    try:
        world.make_catalog("shop")
        world.publish("shop", shop_batch())
        yield world
    finally:
        world.cluster.stop()


def client_of(url: str, **settings: Any) -> FlaskClient:
    return create_app(Settings(database_url=url, request_log=False, **settings)).test_client()


def test_a_database_that_goes_away_is_503_and_all_is_well_when_it_returns(own_world: World):
    client = client_of(own_world.url("recjobs_reader"))
    warm(client)
    assert client.get("/readyz").json == {"status": "ready", "live": {"shop": "20240101T000000Z-1"}}

    own_world.cluster.stop()
    for _ in range(20):
        assert_unavailable_in_time(client)
    assert_unavailable_in_time(client, "/readyz")
    assert timed(client, "/healthz")[0] == 200
    page = client.get("/?catalog=shop&user_id=u0001")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "1")
    assert "Back in a moment" in page.text

    own_world.cluster.start()
    returned = time.monotonic()
    while timed(client)[0] != 200:
        assert time.monotonic() - returned < 5
        time.sleep(0.05)
    assert client.get("/readyz").status_code == 200
    assert client.get("/?catalog=shop&user_id=u0001").status_code == 200


def test_a_restart_of_the_database_between_two_requests_is_not_noticed(own_world: World):
    client = client_of(own_world.url("recjobs_reader"), **PATIENT)
    warm(client)
    own_world.cluster.stop()
    own_world.cluster.start()
    assert timed(client)[0] == 200


def test_a_database_that_takes_connections_but_never_answers_is_503_in_time():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        client = client_of(f"postgresql://reader@127.0.0.1:{silent.getsockname()[1]}/recjobs")
        for _ in range(3):
            assert_unavailable_in_time(client)
            assert timed(client, "/healthz")[0] == 200


@pytest.fixture
def line(world: World) -> Iterator[tuple[str, threading.Event]]:
    """The database's URL by way of a line that swallows everything while the event is set."""
    cut = threading.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        threading.Thread(target=_forward, args=(listener, world.cluster.port, cut), daemon=True).start()
        address = f"@127.0.0.1:{listener.getsockname()[1]}/recjobs"
        yield re.sub(r"@/recjobs\?.*", address, world.url("recjobs_reader")), cut


def warm(client: FlaskClient) -> None:
    """The first requests also connect, and this machine is shared."""
    wait_for(lambda: timed(client)[0] == 200)


def soon_right(client: FlaskClient) -> bool:
    """Whether the next answer is, or on a busy machine one of the two after it."""
    return any(timed(client)[0] == 200 for _ in range(3))


def test_a_connection_that_falls_silent_is_503_in_time_and_not_used_again(line: tuple[str, threading.Event]):
    url, cut = line
    client = client_of(url)
    warm(client)
    cut.set()
    assert_unavailable_in_time(client)
    cut.clear()
    assert soon_right(client)


def test_a_database_silent_for_a_while_is_not_waited_for_by_every_request(line: tuple[str, threading.Event]):
    url, cut = line
    client = client_of(url)
    warm(client)
    cut.set()
    time.sleep(1)
    assert_unavailable_in_time(client)
    assert_unavailable_in_time(client)
    answered = [timed(client)[2] for _ in range(5)]
    assert min(answered) < 0.1
    cut.clear()
    returned = time.monotonic()
    while timed(client)[0] != 200:
        assert time.monotonic() - returned < 5


def test_a_warm_web_app_has_a_planned_connection_for_each_thread(world: World, monkeypatch: pytest.MonkeyPatch):
    # other tests' catalogs are in this Postgres as well
    monkeypatch.setattr("webapp.postgres.connection_pool.WARM_CONNECTIONS", 1000)
    ours = "select count(*) from pg_stat_activity where application_name = 'warm' and query ~ '^execute webapp_recomm'"
    app = create_app(
        Settings(
            database_url=f"{world.url('recjobs_reader')}&application_name=warm", threads=3, database_connections=1000
        )
    )
    app.extensions["connection_pool"].warm()
    assert world.sql(ours) == [(3,)]
    pool = app.extensions["connection_pool"]
    idle = [connection for each in pool._shared.pools for connection in each.idle]
    assert len(idle) == 3
    assert all(connection.has_planned(catalog) for catalog in pool.catalogs() for connection in idle)


def test_all_catalogs_together_have_a_limit_of_connections_and_each_gets_its_own_lists(world: World):
    catalogs = [f"many{k}" for k in range(soak(80, share=13))]
    nights = two_nights()
    ours = "select count(*) from pg_stat_activity where application_name = 'many'"
    try:
        for k, catalog in enumerate(catalogs):
            world.make_catalog(catalog)
            world.publish(catalog, nights[k % 2])
        url = f"{world.url('recjobs_reader')}&application_name=many"
        few = {"threads": 4, "database_connections": 5, "database_idle_seconds": 1}
        pool = ConnectionPool(Settings(database_url=url, **few, **PATIENT))

        def ask(first: int) -> list[tuple[str, str]]:
            wrong = []
            for k in range(first, first + 3 * len(catalogs)):
                n = (k * (first + 1)) % len(catalogs)
                with pool.session(catalogs[n], 20_000) as session:
                    live = [session.row(name, "anna", 5)[0].partition("|")[0] for name in ("stored", "recommendations")]
                if set(live) != {nights[n % 2].batch_id}:
                    wrong.append((catalogs[n], live))
            return wrong

        with ThreadPoolExecutor(4) as threads:
            answers = [threads.submit(ask, first) for first in range(4)]
            most = 0
            while not all(answer.done() for answer in answers):
                most = max(most, world.sql(ours)[0][0])
            assert [answer.result() for answer in answers] == [[]] * 4
        assert 1 <= most <= 5
        wait_for(lambda: world.sql(ours)[0][0] == 0)  # Postgres ends what is idle
        assert ask(0) == []
    finally:
        for catalog in catalogs:
            world.sql(f"drop schema {catalog} cascade")


def test_of_a_few_catalogs_a_connection_keeps_the_plans_and_of_more_the_last_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("webapp.postgres.connection.PLANNED_CATALOGS", 3)
    prepared: list[str] = []
    prepare = Connection._prepare

    def noted(connection: Connection, name: str, deadline: float) -> Statement:
        prepared.append(connection.catalog)
        return prepare(connection, name, deadline)

    monkeypatch.setattr(Connection, "_prepare", noted)
    catalogs = [f"planned{k}" for k in range(7)]
    nights = two_nights()
    try:
        for k, catalog in enumerate(catalogs):
            world.make_catalog(catalog)
            world.publish(catalog, nights[k % 2])
        settings = {"database_connections": 2, "threads": 1}
        pool = ConnectionPool(Settings(database_url=world.url("recjobs_reader"), **settings, **PATIENT))

        def ask(some: list[str]) -> list[str]:
            """Ask for a list of each; returns the catalogs of which something was prepared."""
            prepared.clear()
            for catalog in some:
                with pool.session(catalog, 20_000) as session:
                    found = session.row("stored", "anna", 5)[0].partition("|")[0]
                assert found == nights[catalogs.index(catalog) % 2].batch_id, catalog
            return [one for one in prepared if one]

        assert ask(catalogs[:4]) == catalogs[:4]
        for order in (catalogs[:4], catalogs[3::-1], catalogs[:4]):
            assert ask(order) == [], "two connections, each of which has planned up to three catalogs"
        assert set(ask(catalogs)) >= set(catalogs[4:])
        assert ask(catalogs[6:]) == []
        for connection in [one for of in pool._shared.pools for one in of.idle]:
            [[n]] = connection._run("select count(*) from pg_prepared_statements", None, time.monotonic() + 20)
            assert n <= 3, "what was planned of other catalogs before is given up"
    finally:
        for catalog in catalogs:
            world.sql(f"drop schema {catalog} cascade")


def test_a_connection_whose_first_statement_on_a_catalog_is_cancelled_reads_that_catalog_next(world: World):
    pool = ConnectionPool(Settings(database_url=world.url("recjobs_reader"), **PATIENT))
    connection = pool._connect("")
    first_ready([connection], time.monotonic() + 20)
    connection.use("shop", time.monotonic() + 20)
    with pytest.raises(psycopg2.errors.QueryCanceled):
        connection._run("set statement_timeout = 1; select pg_sleep(10)", None, time.monotonic() + 20)
    assert connection._run("show search_path", None, time.monotonic() + 20) == [("shop, pg_temp",)]
    connection.close()


def test_one_slow_connection_beside_others_that_answer_keeps_no_other_request_from_connecting(
    line: tuple[str, threading.Event],
):
    url, cut = line
    pool = ConnectionPool(Settings(database_url=url, **PATIENT))
    with pool.session("shop", 5000) as busy:
        busy.row("live")
        cut.set()
        with pytest.raises(Unavailable), pool.session("shop", 280) as slow:
            slow.row("live")
        cut.clear()
        with pool.session("shop", 5000) as other:
            assert other.row("live") is not None


@pytest.fixture
def slow_line(world: World) -> Iterator[tuple[str, list[float]]]:
    """The database's URL by way of a line that holds back what the server says, as long as the list's one number."""
    delay = [0.0]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        threading.Thread(
            target=_forward, args=(listener, world.cluster.port, threading.Event(), delay), daemon=True
        ).start()
        address = f"@127.0.0.1:{listener.getsockname()[1]}/recjobs?application_name=slow"
        yield re.sub(r"@/recjobs\?.*", address, world.url("recjobs_reader")), delay


def test_connecting_that_takes_longer_than_a_request_may_wait_comes_to_an_end_all_the_same(
    slow_line: tuple[str, list[float]],
):
    url, delay = slow_line
    pool = ConnectionPool(Settings(database_url=url))
    delay[0] = 0.12  # four answers and more until one is connected: no request waits so long
    refused, started, connected = 0, time.monotonic(), None
    while connected is None:
        try:
            connected, _ = pool._catalogs[""].take(time.monotonic() + PROMISED_SECONDS)
        except DeadlinePassed:
            refused += 1
            assert time.monotonic() - started < 10
    connected.close()
    assert refused > 0


def test_an_answer_that_is_late_or_cancelled_costs_no_connection(slow_line: tuple[str, list[float]], world: World):
    url, delay = slow_line
    pool = ConnectionPool(Settings(database_url=url, **PATIENT | {"statement_timeout_ms": 1000}))

    def served(timeout_ms: int) -> int:
        with pool.session("shop", timeout_ms) as session:
            assert session.row("recommendations", "u0001", 5) is not None
        last = "select pid from pg_stat_activity where application_name = 'slow' order by query_start desc limit 1"
        return world.sql(last)[0][0]

    before = served(5000)
    delay[0] = 0.5
    with pytest.raises(Unavailable):
        served(280)
    delay[0] = 0.0
    time.sleep(1)
    assert served(5000) == before
    locker = psycopg2.connect(world.url())
    try:
        locker.cursor().execute("lock table shop.top_n_20240101t000000z_1 in access exclusive mode")
        with pytest.raises(Unavailable):
            served(5000)
    finally:
        locker.close()
    assert served(5000) == before


def _forward(listener: socket.socket, port: int, cut: threading.Event, delay: list[float] | None = None) -> None:
    """Pass bytes on in both directions, or swallow them while `cut` is set; what the server says, after `delay`."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if delay and source in outsides:
                    time.sleep(delay[0])
                if not cut.is_set():
                    target.sendall(data)

    outsides = []
    while True:
        try:
            inside, _ = listener.accept()
        except OSError:
            return
        outside = socket.create_connection(("127.0.0.1", port))
        outsides.append(outside)
        for pair in ((inside, outside), (outside, inside)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


def test_a_locked_table_is_503_in_time_and_the_next_answer_after_it_is_right(world: World):
    client = client_of(world.url("recjobs_reader"))
    warm(client)
    locker = psycopg2.connect(world.url())
    try:
        locker.cursor().execute("lock table shop.top_n_20240101t000000z_1 in access exclusive mode")
        assert_unavailable_in_time(client)
    finally:
        locker.close()
    assert soon_right(client)


def test_a_wrong_password_is_503_and_says_nothing_of_it(world: World):
    client = client_of(re.sub(r"//recjobs_reader:[^@]+@", "//recjobs_reader:hunter2@", world.url("recjobs_reader")))
    response = client.get(ADDRESS)
    assert response.status_code == 503
    assert "hunter2" not in response.text
    assert "recjobs_reader" not in response.text


def test_ready_means_that_something_is_live_somewhere(own_world: World):
    own_world.sql("drop schema shop cascade")
    own_world.make_catalog("empty")
    client = own_world.client()
    response = client.get("/readyz")
    assert (response.status_code, response.json["error"]["code"]) == (503, "nothing_published")
    assert client.get("/healthz").status_code == 200


LISTS = "recommendations?user_id="
LACKING = [
    ("alter view behind.stored_lists rename to x", "alter view behind.x rename to stored_lists", f"{LISTS}u0001"),
    ("alter view behind.batches rename to x", "alter view behind.x rename to batches", "batches"),
    ("alter function behind.basket rename to x", "alter function behind.x rename to basket", "basket?item_id=item1"),
    (
        "revoke select on behind.popular_items from recjobs_reader",
        "grant select on behind.popular_items to recjobs_reader",
        "popular",
    ),
]
"""How a catalog of the release before differs, how it is migrated, and what cannot be answered meanwhile."""


def test_a_web_app_newer_than_the_database_is_not_ready_and_answers_503_not_404(world: World):
    def status_and_code(client: FlaskClient, path: str) -> tuple[int, str]:
        response = client.get(path)
        return response.status_code, response.json["error"]["code"]

    world.make_catalog("behind")
    try:
        world.publish("behind", shop_batch())
        running = world.client()
        assert running.get("/readyz").json["live"]["behind"] == "20240101T000000Z-1"
        for lack, migrate, what in LACKING:
            path = f"/v1/behind/{what}"
            world.sql(lack)
            fresh = world.client()
            for client in (fresh, running):
                assert status_and_code(client, path) == (503, "not_migrated"), lack
                assert client.get(ADDRESS).status_code == 200, "another catalog"
            assert status_and_code(fresh, "/readyz") == (503, "not_migrated"), lack
            message = fresh.get("/readyz").json["error"]["message"]
            assert "behind" in message
            assert "recjobs migrate" in message
            assert running.get("/readyz").status_code == 200, "one broken catalog does not take the others along"
            world.sql(migrate)
            assert fresh.get(path).status_code == 200
            assert fresh.get("/readyz").status_code == 200
    finally:
        world.sql("drop schema behind cascade")


def test_catalogs_come_and_go_without_a_restart(world: World, client: FlaskClient):
    address = "/v1/passing/recommendations?user_id=u0001"
    assert client.get(address).status_code == 404
    world.make_catalog("passing")
    assert client.get(address).status_code == 503
    world.publish("passing", shop_batch())
    assert client.get(address).status_code == 200
    world.sql("drop schema passing cascade")
    assert client.get(address).status_code == 404
    assert client.get(address).status_code == 404


def test_a_schema_the_reader_may_not_read_is_no_catalog(world: World, client: FlaskClient):
    world.make_catalog("secret")
    world.sql("revoke usage on schema secret from recjobs_reader")
    assert client.get("/v1/secret/popular").status_code == 404
    home = client.get("/")
    assert home.status_code == 200
    assert "secret" not in home.text


def test_one_connection_serves_one_request_after_the_other(world: World):
    client = world.client()
    ours = "select pid from pg_stat_activity where usename = 'recjobs_reader' and application_name = 'recjobs webapp'"
    before = {row[0] for row in world.sql(ours)}
    for k in range(50):
        assert client.get(f"/v1/shop/recommendations?user_id=u{k:04}").status_code == 200
        assert client.get(f"/v1/shop/recommendations?user_id=nobody{k}").status_code == 200
        assert client.get("/v1/shop/recommendations").status_code == 400
    # Also for the list of the catalogs, which belongs to none.
    assert len({row[0] for row in world.sql(ours)} - before) == 1


def test_the_serving_statements_find_everything_by_primary_key_in_the_live_partition_only(world: World):
    world.make_catalog("planned")
    for day in (1, 2, 3):
        world.publish("planned", shop_batch(f"2024010{day}T000000Z-1", seed=day))
    for name, given, read in [
        ("stored", "'u0001', 20", {"top_n"}),
        ("stored", "'nobody', 20", {"top_n"}),
        ("kept_out", "'u0001'", {"history_lists"}),
        ("recommendations", "'u0001', 20", {"top_n", "item_records"}),
        ("recommendations", "'nobody', 20", {"top_n", "popular_lists", "item_records"}),
    ]:
        statement = (ROOT / f"sql/queries/webapp/{name}.sql").read_text()
        explain = (
            "set plan_cache_mode = force_generic_plan;"
            f"prepare serving as {statement};"
            f"explain (analyze, format json) execute serving ({given})"
        )
        plan = world.sql(explain, role="recjobs_reader", catalog="planned")[0][0]
        touched = [node for node in nodes_of(plan[0]["Plan"]) if "Relation Name" in node and node["Actual Loops"] > 0]
        parts = {node["Relation Name"] for node in touched if re.search(r"_2024\d{4}t", node["Relation Name"])}
        assert all(part.endswith("20240103t000000z_1") for part in parts)
        assert {part.split("_2024")[0] for part in parts} == read
        for node in touched:
            if re.match(r"(top_n|item_records|history_lists)_", node["Relation Name"]):
                assert node["Node Type"] in ("Index Scan", "Index Only Scan", "Bitmap Heap Scan"), json.dumps(node)
                by = node["Plans"][0] if node["Node Type"] == "Bitmap Heap Scan" else node
                assert by["Index Name"] == f"{node['Relation Name']}_pkey"


def nodes_of(plan: dict) -> Iterator[dict]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes_of(child)


def test_a_statement_longer_than_a_sockets_buffer_is_answered(world: World):
    pool = ConnectionPool(Settings(database_url=world.url("recjobs_reader"), **PATIENT))
    with pool.session("shop", 5000) as session:
        row = session.row("known", [f"{k:0256}" for k in range(4000)] + ["item5"])
    assert row is not None
    assert row[2] == ["item5"]

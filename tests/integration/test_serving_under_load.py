"""Three replicas behind nginx, sixteen clients that never stop asking, and everything that happens to a shop meanwhile.

Every list that a client gets is compared, item for item, with the batch that the answer names.
"""

import contextlib
import json
import random
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2
import pytest

from tests.load import Load, Report, batch_of
from tests.pointer import Pointer
from tests.replicas import Nginx, Replica, status
from tests.webapp_world import Batch, World, free_port, start_world
from tests.worlds import soak

pytestmark = pytest.mark.soak

SEEDS = {f"2024010{day}T000000Z-1": day for day in range(1, 7)}
FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH = SEEDS
REQUESTS = soak(200_000)
SOAKING = REQUESTS == 200_000
SAMPLES = 8


@dataclass
class Front:
    """What clients see: one address; and what stands behind it."""

    world: World
    replicas: list[Replica]
    nginx: Nginx


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    world = start_world(folder)
    replicas: list[Replica] = []
    try:
        world.make_catalog("shop", "A shop")
        world.publish("shop", batch_of(FIRST, SEEDS[FIRST]))
        # `make soak` keeps the deadlines of production. Beside other tests a machine may be too busy for these.
        patience = {} if SOAKING else {"WEBAPP_STATEMENT_TIMEOUT_MS": "2000", "WEBAPP_REQUEST_TIMEOUT_MS": "2500"}
        replicas = [Replica(world, f"replica{n}", folder, **patience) for n in (1, 2, 3)]
        for replica in replicas:
            replica.wait_until_ready()
        nginx = Nginx([replica.port for replica in replicas], folder / "nginx")
        try:
            yield Front(world, replicas, nginx)
        finally:
            nginx.stop()
    finally:
        for replica in replicas:
            replica.process.terminate()
        for replica in replicas:
            replica.wait()
        world.cluster.stop()


@pytest.fixture
def anew(front: Front) -> Front:
    """The same, with the first batch live and no other."""
    front.world.sql("drop schema shop cascade")
    front.world.make_catalog("shop", "A shop")
    front.world.publish("shop", batch_of(FIRST, SEEDS[FIRST]))
    return front


def said(report: Report) -> str:
    """A report in a line, for `make soak`."""
    counts = f"{report.failed} failed, {report.unavailable} 503, {report.torn} torn, {report.unchanged} 304"
    rate = f"{report.seconds:.0f} s, {report.requests / report.seconds:.0f} a second"
    return f"{report.requests} requests, {counts}, {rate}, milliseconds {report.milliseconds}"


def test_memory_descriptors_and_connections_stay_flat(front: Front, figure: Callable[[str], None]):
    seen: list[list[tuple[float, int, int]]] = []
    requests = soak(200_000, share=50)
    with Load(front.nginx.port, {FIRST: SEEDS[FIRST]}, requests, unknown=0.2, silly=0.05) as load:
        for k in range(1, SAMPLES + 1):
            load.wait_for(k * requests // SAMPLES)
            seen.append([measured(front.world, replica) for replica in front.replicas])
        report = load.stop()
    assert (report.failed, report.unavailable, report.torn, report.examples) == (0, 0, 0, [])

    early, late = seen[SAMPLES // 4 : SAMPLES // 2], seen[-SAMPLES // 4 :]
    for n, replica in enumerate(front.replicas):
        (mebibytes, descriptors, connections), then = most(early, n), most(late, n)
        figure(f"S4 {replica.name}: {mebibytes} MiB, {descriptors} descriptors, {connections} connections; then {then}")
        assert then[0] < mebibytes + 4, "a hundred bytes a request would be more"
        assert then[1] <= descriptors + 16, "as many as clients may be connected at one moment and not at another"
        assert then[2] <= connections <= 5, "one a thread, and one that lists the catalogs"
    figure(f"S4: {said(report)}")


def most(seen: list[list[tuple[float, int, int]]], n: int) -> tuple[float, ...]:
    """The most of everything that a replica had."""
    return tuple(map(max, zip(*(at[n] for at in seen), strict=True)))


def measured(world: World, replica: Replica) -> tuple[float, int, int]:
    """MiB of memory of its own, open descriptors, connections to Postgres."""
    processes = replica.processes()
    # What it wrote itself. What files are mapped for (uss, rss) depends on who else maps them: it jumped by 10 MiB when
    # another program ended.
    found = (re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{p.pid}/status").read_text()) for p in processes)
    mebibytes = sum(int(size[1]) for size in found if size) / 1024
    connections = world.sql("select count(*) from pg_stat_activity where application_name = %s", replica.name)[0][0]
    return round(mebibytes, 1), sum(process.num_fds() for process in processes), connections


class Analyst(threading.Thread):
    """Looks at every list twice, in one transaction that stays open for a while in between."""

    def __init__(self, world: World, seconds: float) -> None:
        super().__init__()
        self._world, self._seconds = world, seconds
        self.saw: list[object] = []

    def run(self) -> None:
        connection = psycopg2.connect(self._world.url("recjobs_reader"), options="-c search_path=shop,pg_temp")
        connection.set_session(isolation_level="REPEATABLE READ")
        with connection, connection.cursor() as cursor:
            for wait in (self._seconds, 0):
                cursor.execute(
                    "select batch_id, count(*), md5(string_agg(item_ids::text, '' order by user_id))"
                    " from served_lists group by batch_id"
                )
                self.saw.append(cursor.fetchall())
                time.sleep(wait)
        connection.close()


def test_nothing_fails_or_is_torn_while_batches_are_published_and_rolled_back_and_replicas_replaced(
    front: Front, figure: Callable[[str], None]
):
    world, pointer = front.world, Pointer()
    analyst = Analyst(world, 5)
    with pointer.moves_to(FIRST):
        pass

    def publish(batch_id: str) -> Callable[[], None]:
        batch = batch_of(batch_id, SEEDS[batch_id])

        def now() -> None:
            with pointer.moves_to(batch_id):
                world.publish("shop", batch)

        return now

    def roll_back(to: str) -> Callable[[], None]:
        def now() -> None:
            with pointer.moves_to(to):
                found = world.sql("select roll_back(null, 'under load')", role="recjobs_publisher", catalog="shop")
            assert found == [(to,)]

        return now

    one, two, three = front.replicas
    happenings = [
        publish(SECOND), one.replace, analyst.start, publish(THIRD), roll_back(SECOND), two.replace, publish(FOURTH),
        publish(FIFTH), roll_back(FOURTH), three.replace, publish(SIXTH), analyst.join,
    ]  # fmt: skip
    with Load(front.nginx.port, SEEDS, REQUESTS) as load:
        for k, happen in enumerate(happenings, 1):
            load.wait_for(k * REQUESTS // (len(happenings) + 1))
            happen()
            load.wait_for(load.answered + 300)
        report = load.stop()

    flips = [(flip.batch_id, round(flip.began, 1), round(flip.ended, 1)) for flip in pointer.flips]
    assert (report.failed, report.unavailable, report.torn, report.examples) == (0, 0, 0, []), (report.refusals, flips)
    assert report.requests >= REQUESTS
    assert report.unchanged > 0
    assert [broken for runs in report.connections if (broken := pointer.broken(runs))] == []
    assert {order[-1] for order in report.batches()} == {SIXTH}
    assert set().union(*report.batches()) == set(SEEDS)
    assert len(analyst.saw) == 2
    assert analyst.saw[0] == analyst.saw[1]
    actions = world.sql(
        "select action, batch_id from publish_log order by log_id", role="recjobs_reader", catalog="shop"
    )
    assert [batch_id for _, batch_id in actions] == [flip.batch_id for flip in pointer.flips]
    assert [action for action, _ in actions].count("roll_back") == 2
    figure(
        f"P1: {said(report)}; answers of the batch before at most {pointer.lag(report.connections):.3f} s after a flip"
    )


def test_postgres_killed_again_and_again_is_503_for_a_while_and_never_a_wrong_list(
    front: Front, figure: Callable[[str], None]
):
    world, seeds = front.world, {f"202403{k:02}T000000Z-1": 100 + k for k in range(1, soak(10, 10) + 1)}
    batches = [batch_of(batch_id, seed) for batch_id, seed in seeds.items()]
    with Load(front.nginx.port, SEEDS | seeds, soak(20_000)) as load:
        draw, outages = random.Random(3), []
        load.wait_for(300)
        for batch in batches:
            publisher = threading.Thread(target=lambda batch=batch: publish_or_be_cut_off(world, batch))
            publisher.start()
            time.sleep(draw.uniform(0, 1.5))
            began = time.monotonic()
            for process in world.cluster.processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            publisher.join()
            assert {status(f"http://127.0.0.1:{replica.port}/healthz") for replica in front.replicas} == {200}
            world.cluster.start()
            back = time.monotonic()
            while status(f"http://127.0.0.1:{front.nginx.port}/v1/shop/recommendations?user_id=u0001") != 200:
                assert time.monotonic() - back < 5
                time.sleep(0.05)
            outages.append(round(back - began, 1))
            publish_again(world, batch)
            assert world.sql("select batch_id from batches where is_live", catalog="shop") == [(batch.batch_id,)]
            load.wait_for(load.answered + 300)
        report = load.stop()
    assert (report.failed, report.torn, report.examples) == (0, 0, [])
    assert report.unavailable > 0
    assert {order[-1] for order in report.batches()} == {batches[-1].batch_id}
    assert all(order == sorted(order) for order in report.batches()), "no batch goes back"
    figure(f"P2: Postgres killed {len(batches)} times, away for {outages} s: {said(report)}")


def publish_or_be_cut_off(world: World, batch: Batch) -> None:
    with contextlib.suppress(psycopg2.Error):
        world.publish("shop", batch)


def publish_again(world: World, batch: Batch) -> None:
    """What the publish step does when it is run again: what was attached is not loaded once more.

    Unless the pointer has moved already, the champion is still the one that the night was held against.
    """
    attached = "select count(*) from batch_records where batch_id = %s and attached"
    if world.sql(attached, batch.batch_id, catalog="shop") == [(0,)]:
        world.publish("shop", batch)
    else:
        [[champion]] = world.sql("select model_version from champion", role="recjobs_loader", catalog="shop")
        flip = "select publish_batch(%s, %s, false, 'again')"
        world.sql(flip, batch.batch_id, champion, role="recjobs_publisher", catalog="shop")


def delete_and_insert(world: World, batch: Batch) -> None:
    """Publish as many do: the old lists go, then the new ones come."""
    live = world.sql("select batch_id from batches where is_live", catalog="shop")[0][0]
    world.sql("delete from top_n where batch_id = %s", live, catalog="shop")
    world.publish("shop", batch)


def replace_one_by_one(world: World, batch: Batch) -> None:
    """Publish as some do: the lists of the same batch are replaced where they lie."""
    connection = psycopg2.connect(world.url(), options="-c search_path=shop,pg_temp")
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        for user_id, (item_ids, *_) in list(batch.users.items())[:300]:
            cursor.execute("update top_n set item_ids = %s where user_id = %s", (item_ids, user_id))


@pytest.mark.parametrize("publish", [delete_and_insert, replace_one_by_one])
def test_the_same_clients_find_a_naive_publisher_out(
    anew: Front, figure: Callable[[str], None], publish: Callable[[World, Batch], None]
):
    batch = batch_of("20240501T000000Z-1", 31)
    with Load(anew.nginx.port, {FIRST: SEEDS[FIRST], batch.batch_id: 31}, 500) as load:
        load.wait_for(200)
        publish(anew.world, batch)
        report = load.stop()
    assert report.torn > 0
    assert "is not" in report.examples[0]
    figure(f"P1, naive publisher ({publish.__name__}): {said(report)}")


def test_a_replica_that_is_told_to_stop_answers_what_it_was_asked_and_takes_nothing_new(anew: Front, tmp_path: Path):
    world = anew.world
    patient = {"WEBAPP_STATEMENT_TIMEOUT_MS": "20000", "WEBAPP_REQUEST_TIMEOUT_MS": "25000"}
    replica = Replica(world, "stopped", tmp_path, **patient)
    replica.wait_until_ready()
    idle, busy = (socket.create_connection(("127.0.0.1", replica.port), timeout=30) for _ in range(2))
    table = f"top_n_{FIRST.lower().replace('-', '_')}"
    locker = psycopg2.connect(world.url(), options="-c search_path=shop,pg_temp")
    with contextlib.closing(locker), idle, busy:
        locker.cursor().execute(f"lock table {table} in access exclusive mode")
        busy.sendall(b"GET /v1/shop/recommendations?user_id=u0001 HTTP/1.1\r\nHost: test\r\n\r\n")
        waiting = (
            "select count(*) from pg_stat_activity where application_name = 'stopped' and wait_event_type = 'Lock'"
        )
        while world.sql(waiting) == [(0,)]:
            time.sleep(0.01)
        replica.process.terminate()
        assert idle.recv(1) == b"", "a connection that nothing was asked on is closed"
        with pytest.raises(ConnectionRefusedError):
            connect_again_and_again(replica.port)
        assert replica.process.poll() is None
        locker.rollback()
        answer = b"".join(iter(lambda: busy.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"}")
    assert replica.wait() == 0


def connect_again_and_again(port: int) -> None:
    for _ in range(500):
        socket.create_connection(("127.0.0.1", port)).close()
        time.sleep(0.01)


def answer_of(port: int, path: str) -> tuple[int, str | None, str]:
    """Status, Retry-After and the code of the error."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return response.status, None, ""
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Retry-After"], json.load(error)["error"]["code"]


def test_asking_for_a_catalog_in_which_nothing_is_published_takes_no_replica_out(front: Front):
    front.world.make_catalog("empty")
    for path in ("recommendations?user_id=u", "popular"):
        for _ in range(12):
            assert answer_of(front.nginx.port, f"/v1/empty/{path}") == (503, "1", "nothing_published")
        assert answer_of(front.nginx.port, "/v1/shop/popular") == (200, None, "")


def test_without_any_replica_nginx_answers_in_the_web_apps_words(tmp_path: Path):
    alone = Nginx([free_port(), free_port(), free_port()], tmp_path / "alone")
    try:
        for path in ("/v1/shop/popular", "/v1/shop/rules", "/readyz"):
            assert answer_of(alone.port, f"{path}?user_id=u0001") == (503, "1", "no_replica")
        assert "u0001" not in alone.log.read_text(), "as it would be in nginx's own error log"
    finally:
        alone.stop()


def test_a_replica_whose_database_is_away_starts_and_says_so(front: Front, tmp_path: Path):
    url = f"postgresql://recjobs_reader@127.0.0.1:{free_port()}/recjobs"
    replica = Replica(front.world, "alone", tmp_path, RECJOBS_READER_URL=url)
    try:
        while not (alive := status(f"http://127.0.0.1:{replica.port}/healthz")):
            assert replica.process.poll() is None
        assert alive == 200
        assert answer_of(replica.port, "/readyz") == (503, "1", "database_unavailable")
    finally:
        assert replica.stop() == 0


def test_no_log_holds_a_user_id(front: Front):
    logs = [front.nginx.log, *(replica.log for replica in front.replicas)]
    text = "".join(log.read_text() for log in logs)
    assert re.findall(r"u0\d\d\d|nobody-|user_id", text) == []
    routes = set(re.findall(r'"route":"([^"]+)"', front.nginx.log.read_text()))
    assert routes == {"recommendations", "recommendations:batch", "similar", "popular", "health"}

"""The web app's numbers equal what was asked of it, name nobody, and cost nobody anything when nobody takes them."""

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml
from flask.testing import FlaskClient

from tests.commands import ROOT
from tests.load import Load, batch_of
from tests.replicas import Nginx, Replica, status
from tests.webapp_credentials import KEY, KEYS, OPERATORS, bearer
from tests.webapp_world import ODD_IDS, World, start_world, two_nights
from tests.worlds import soak
from webapp.api.openapi import document
from webapp.metrics import statsd
from webapp.metrics.counters import BOUNDS, UNTIMED, Counters, route_of
from webapp.metrics.prometheus import METRICS

pytest_plugins = ["tests.webapp_fixtures"]

SERIES = re.compile(r'(\w+)\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\} (\S+)')
SEEDS = {"20240101T000000Z-1": 3}
Labels = tuple[tuple[str, str], ...]


def series(page: str) -> dict[tuple[str, Labels], float]:
    """Every series of a page of /metrics, by its name and its sorted labels."""
    found = {}
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        match = SERIES.fullmatch(line)
        assert match, line
        found[match[1], tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2])))] = float(match[3])
    return found


def requests_of(page: str) -> dict[str, int]:
    """`<route> <status>` -> requests, without those of probes."""
    found = {}
    for (name, labels), value in series(page).items():
        of = dict(labels)
        if name == "http_requests_total" and of["route"] != "health":
            found[f"{of['route']} {of['status']}"] = int(value)
    return found


def lists_of(page: str, catalog: str) -> dict[str, int]:
    """Source -> lists that were served of a catalog."""
    return {
        dict(labels)["source"]: int(value)
        for (name, labels), value in series(page).items()
        if name == "recjobs_lists_served_total" and dict(labels)["catalog"] == catalog
    }


def promtool() -> str:
    """Where Prometheus' own checker is. Without it the test is skipped on a laptop, and fails under CI."""
    found = shutil.which("promtool")
    if not found and os.environ.get("CI"):
        pytest.fail("promtool is not installed (Debian's package prometheus), and with CI set nothing may be skipped")
    if not found:
        pytest.skip("promtool is not installed (on Debian: apt-get install prometheus)")
    return found


def test_every_request_is_counted_once_by_its_route_and_status(client: FlaskClient):
    asked: Counter[str] = Counter()
    for path, counted, n in (
        ("/v1/shop/recommendations?user_id=u0000", "recommendations 200", 3),
        ("/v1/shop/users/u0001/recommendations", "recommendations 200", 2),
        ("/v1/shop/recommendations?n=3", "recommendations 400", 2),
        ("/v1/nowhere/recommendations?user_id=u0001", "recommendations 404", 1),
        ("/v1/empty/recommendations?user_id=u0001", "recommendations 503", 1),
        ("/v1/shop/items/item1/similar", "similar 200", 1),
        ("/v1/shop/batches/nothing", "batches 404", 1),
        ("/v1/shop/batches", "batches 200", 1),
        ("/v1", "catalogs 200", 1),
        ("/healthz", "health 200", 2),
        ("/static/page.css", "static 200", 1),
        ("/?catalog=shop&user_id=u0000", "page 200", 1),
        ("/docs", "docs 200", 1),
        ("/nowhere", "other 404", 2),
        ("/v1/shop/nothing", "other 404", 1),
        ("/metrics", "", 2),
    ):
        for _ in range(n):
            client.get(path)
        if counted:
            asked[counted] += n
    client.post("/v1/shop/recommendations:batch", json={"user_ids": ["u0000", "u0001", "nobody"]})
    client.head("/v1/shop/recommendations?user_id=u0000")
    client.delete("/v1/shop/recommendations?user_id=u0000")
    asked.update({"recommendations:batch 200": 1, "recommendations 200": 1, "other 405": 1})
    tag = client.get("/v1/shop/recommendations?user_id=u0002").headers["ETag"]
    client.get("/v1/shop/recommendations?user_id=u0002", headers={"If-None-Match": tag})
    asked.update({"recommendations 200": 1, "recommendations 304": 1})
    page = client.get("/metrics").text
    assert requests_of(page) | {"health 200": 2} == asked
    # u0000 is the model's (als), u0001 was folded in; one of the page's own lookups is nobody's
    assert lists_of(page, "shop") == {"als": 3 + 1 + 1, "foldin": 2 + 1, "popular": 1 + 2}
    assert lists_of(page, "empty") == lists_of(page, "nowhere") == {}


def test_a_histogram_has_each_request_in_the_bucket_of_its_duration():
    counters = Counters()
    for seconds in (0.0005, 0.001, 0.0011, 0.3, 0.31, 7):
        counters.request("popular", "200 OK", seconds)
    counters.request("health", "200 OK", 0.1)
    assert counters.totals().durations.keys() == {"popular"}
    *buckets, beyond, total = counters.totals().durations["popular"]
    assert dict(zip(BOUNDS, buckets, strict=True)) == dict.fromkeys(BOUNDS, 0) | {0.001: 2, 0.0025: 1, 0.3: 1, 1.0: 1}
    assert (beyond, total) == (1, pytest.approx(7.6126))


def test_threads_that_count_at_once_and_end_lose_nothing():
    counters, at_once = Counters(), threading.Barrier(8)

    def count() -> None:
        at_once.wait()
        for _ in range(2000):
            counters.request("popular", "200 OK", 0.002)
            counters.request("recommendations", "200 OK", 0.002, "shop", "als")
            counters.served("shop", "als")

    seen = 0
    for _ in range(3):
        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            now = counters.totals().lists.get(("shop", "als"), 0)
            assert seen <= now, "a counter never falls"
            seen = now
        for thread in threads:
            thread.join()
    totals = counters.totals()
    assert totals.requests == {("popular", 200): 48_000, ("recommendations", 200): 48_000}
    assert totals.lists == {("shop", "als"): 96_000}
    assert totals.durations["popular"][1] == 48_000


def test_the_page_is_prometheus_text_and_promtool_finds_a_fault_in_a_damaged_one(client: FlaskClient):
    for path in ("/v1/shop/popular", "/v1/shop/recommendations?user_id=u0001", "/nowhere"):
        client.get(path)
    answer = client.get("/metrics")
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    check = [promtool(), "check", "metrics"]
    done = subprocess.run(check, input=answer.text, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for damaged in (answer.text.replace('le="0.1"', 'le="0,1"'), answer.text.replace(" counter\n", " gauge\n")):
        done = subprocess.run(check, input=damaged, capture_output=True, text=True)
        assert done.returncode != 0


def test_metrics_yaml_explains_what_is_shown_and_nothing_else(client: FlaskClient):
    explained = yaml.safe_load((ROOT / "recjobs" / "metrics.yaml").read_text())["webapp"]
    client.get("/v1/shop/recommendations?user_id=u0001")
    shown: dict[str, set[str]] = {}
    for name, labels in series(client.get("/metrics").text):
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        shown.setdefault(family, set()).update(dict(labels).keys() - {"le"})
    assert shown == {name: set(metric["labels"]) for name, metric in explained.items()}
    assert {name: (m.type, list(m.labels)) for name, m in METRICS.items()} == {
        name: (metric["type"], metric["labels"]) for name, metric in explained.items()
    }


def test_a_replica_has_fewer_than_300_series_whatever_it_answers(world: World):
    app = world.client(api_keys=KEYS, operators=OPERATORS, rate_limit="9/minute").application
    statuses: dict[str, set[str]] = {
        "static": {"200", "304", "400", "404"},
        "page": {"200", "303", "304", "400", "401", "403", "404", "408", "409", "413", "429", "503"},
        "other": {"400", "401", "403", "404", "405", "408", "413", "414", "429", "431", "503"},
    }
    paths = document(app)["paths"]
    for rule in app.url_map.iter_rules():
        operations = paths.get(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), {})
        statuses.setdefault(route_of(rule.rule), set()).update(*(o["responses"] for o in operations.values()))
    requests = sum(len(of_route | {"500"}) for route, of_route in statuses.items())
    histograms = len(statuses.keys() - set(UNTIMED)) * (len(BOUNDS) + 3)
    of_catalog = 5 + 2  # sources of a user's list, the publish instant, the greatest age
    assert requests + histograms + of_catalog + 1 < 300
    assert of_catalog <= 10


def test_no_label_says_what_was_asked_for_and_hostile_requests_make_no_series(world: World):
    client = world.client(api_keys=KEYS)
    for path in [*(f"/v1/{name}/recommendations?user_id=u1" for name in ("a", "b", "c" * 40)), "/x", "/v1/shop/y"]:
        assert client.get(path, headers=bearer(KEY)).status_code in (403, 404)
        client.open(path, method="BREW")
    for user_id in ("u0001", *ODD_IDS):
        for path in ("recommendations", "similar", "basket"):
            client.get(f"/v1/shop/{path}", query_string={"user_id": user_id}, headers=bearer(KEY))
            client.get(f"/v1/shop/{path}", query_string={"item_id": user_id}, headers=bearer(KEY))
    found = series(client.get("/metrics").text)
    routes = {route_of(rule.rule) for rule in client.application.url_map.iter_rules()} | {"other"}
    values: dict[str, set[str]] = {}
    for _, labels in found:
        for name, value in labels:
            values.setdefault(name, set()).add(value)
    assert values["route"] <= routes
    assert values["catalog"] <= {name for (name,) in world.sql("select nspname from pg_namespace")}
    assert values["source"] <= {"als", "foldin", "category", "popular", "exhausted"}
    assert all(re.fullmatch(r"[1-5]\d\d", value) for value in values["status"])
    assert values.keys() == {"route", "status", "le", "catalog", "source", "version", "commit"}


def test_the_page_needs_no_key_and_no_name_and_counts_against_no_limit(world: World):
    client = world.client(api_keys=KEYS, operators=OPERATORS, rate_limit="2/hour")
    for _ in range(5):
        answer = client.get(
            "/metrics", headers={"Host": "10.42.0.17:8000"}, environ_overrides={"REMOTE_ADDR": "10.42.0.9"}
        )
        assert answer.status_code == 200
    assert client.get("/metrics?x=1").status_code == 400
    off = world.client(metrics=False)
    assert off.get("/metrics").status_code == 404
    assert off.get("/v1/shop/recommendations?user_id=u0001").status_code == 200
    assert off.post("/v1/shop/recommendations:batch", json={"user_ids": ["u0001"]}).status_code == 200
    assert off.application.extensions["counters"].totals() == ({}, {}, {})


def test_the_publish_instant_of_each_catalog_is_shown_and_stays_while_postgres_is_away(world: World):
    [[instant]] = world.sql("select extract(epoch from published_at)::float from batches where is_live", catalog="shop")
    key = "recjobs_live_published_timestamp_seconds", (("catalog", "shop"),)
    client = world.client()
    assert series(client.get("/metrics").text)[key] == pytest.approx(instant, abs=0.001)
    assert ("recjobs_live_published_timestamp_seconds", (("catalog", "empty"),)) not in series(
        client.get("/metrics").text
    )
    published = client.application.extensions["published"]
    published._read_at = float("-inf")  # as after five seconds
    client.application.extensions["connection_pool"].catalogs = lambda *_: 1 / 0  # Postgres is away
    assert series(client.get("/metrics").text)[key] == pytest.approx(instant, abs=0.001)
    assert published._read_at > 0, "it has tried"


def test_lists_that_are_too_old_are_served_and_their_pages_and_numbers_say_so(world: World):
    world.make_catalog("old")
    for batch in two_nights():
        world.publish("old", batch)
    client = world.client()
    pages = [f"/{path}catalog=old" for path in ("?", "?user_id=anna&", "runs?", "changes?")]

    def warned() -> set[bool]:
        return {"These lists are too old" in client.get(page).text for page in pages}

    def age(hours: float) -> None:
        world.sql(
            "update batch_records set published_at = now() - make_interval(secs => %s)", hours * 3600, catalog="old"
        )

    assert warned() == {False}
    age(35.9)
    assert warned() == {False}
    age(36.1)
    assert warned() == {True}
    assert client.get("/v1/old/recommendations?user_id=anna").status_code == 200
    found = series(world.client().get("/metrics").text)
    assert found["recjobs_live_max_age_seconds", (("catalog", "old"),)] == 36 * 3600
    world.sql("update batch_records set max_age_hours = null", catalog="old")
    assert warned() == {False}
    found = series(world.client().get("/metrics").text)
    assert ("recjobs_live_max_age_seconds", (("catalog", "old"),)) not in found
    assert time.time() - found["recjobs_live_published_timestamp_seconds", (("catalog", "old"),)] > 36 * 3600


class Receiver:
    """A StatsD server that only listens."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(30)
        self.port = self.socket.getsockname()[1]

    def lines(self) -> list[str]:
        """The lines of the next packet, and of those that have come with it."""
        lines = self.socket.recv(65536).decode().split("\n")
        self.socket.setblocking(False)
        try:
            while True:
                lines += self.socket.recv(65536).decode().split("\n")
        except BlockingIOError:
            return lines
        finally:
            self.socket.settimeout(30)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.socket.close()


def test_statsd_gets_the_same_numbers_once_each(receiver: Receiver):
    counters, explained = Counters(), yaml.safe_load((ROOT / "recjobs" / "metrics.yaml").read_text())["webapp"]
    sender = statsd.Sender(
        "127.0.0.1", receiver.port, counters.totals, lambda: {"shop": (1700000000.4, 129600.0), "old": (1.0, None)}
    )
    for _ in range(7):
        counters.request("recommendations", "200 OK", 0.004, "shop", "als")
    counters.request("recommendations:batch", "503 SERVICE UNAVAILABLE", 3)
    counters.served("shop", "popular")
    sender.send()
    first = receiver.lines()
    rate = next(line for line in first if "@" in line).rpartition("@")[2]
    assert int(1 / float(rate)) == 7
    assert sorted(first) == sorted([
        "webapp.requests.recommendations.200:7|c", "webapp.requests.recommendations_batch.503:1|c",
        "webapp.lists.shop.als:7|c", "webapp.lists.shop.popular:1|c",
        f"webapp.duration.recommendations:5|ms|@{rate}", "webapp.duration.recommendations_batch:10000|ms",
        "webapp.published.shop:1700000000|g", "webapp.max_age.shop:129600|g", "webapp.published.old:1|g",
    ])  # fmt: skip
    patterns = [re.sub(r"<\w+>", r"\\w+", metric["statsd"]) for metric in explained.values() if metric["statsd"]]
    assert all(sum(bool(re.fullmatch(p, line.partition(":")[0])) for p in patterns) == 1 for line in first)
    counters.request("recommendations", "200 OK", 0.004, "shop", "als")
    sender.send()
    assert sorted(receiver.lines()) == [
        "webapp.duration.recommendations:5|ms", "webapp.lists.shop.als:1|c", "webapp.max_age.shop:129600|g",
        "webapp.published.old:1|g", "webapp.published.shop:1700000000|g",
        "webapp.requests.recommendations.200:1|c",
    ]  # fmt: skip


@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 49, 1000, 99_999, 1_234_567])
def test_a_sampling_rate_stands_for_as_many_requests_as_there_were(n: int):
    assert int(1 / float(statsd._rate(n))) == n


def test_many_numbers_are_sent_in_packets_that_fit(receiver: Receiver):
    counters = Counters()
    for k in range(100):
        counters.served(f"catalog_{k}", "als")
    statsd.Sender("localhost", receiver.port, counters.totals, dict).send()
    packets = list(statsd._packets(["x" * 700] * 5))
    assert [len(packet) for packet in packets] == [700] * 5
    assert len(receiver.lines()) == 100


def test_a_receiver_that_is_unknown_away_or_refused_delays_no_request(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    client = world.client()
    counters = client.application.extensions["counters"]
    for host in ("255.255.255.255", "nowhere.invalid"):  # may not be sent to; is not known
        statsd.Sender(host, 8125, counters.totals, dict).send()
    assert "STATSD_HOST=nowhere.invalid is not known" in caplog.text

    asked, answered = threading.Event(), threading.Event()

    def resolve(*_: object, **__: object) -> list[object]:
        asked.set()
        assert answered.wait(60)
        raise OSError("at last")

    with monkeypatch.context() as patch:
        patch.setattr(statsd.socket, "getaddrinfo", resolve)
        stuck = threading.Thread(target=statsd.Sender("slow.example", 8125, counters.totals, dict).send)
        stuck.start()
        assert asked.wait(30)
        for k in range(200):
            assert client.get(f"/v1/shop/recommendations?user_id=u{k:04}").status_code == 200
        assert requests_of(client.get("/metrics").text) == {"recommendations 200": 200}
        assert stuck.is_alive(), "all of it while the name was being looked up"
        answered.set()
        stuck.join()


@pytest.fixture
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world whose batch the load generator knows."""
    loaded = start_world(tmp_path_factory.mktemp("loaded"))
    try:
        loaded.make_catalog("shop")
        [(batch_id, seed)] = SEEDS.items()
        loaded.publish("shop", batch_of(batch_id, seed))
        yield loaded
    finally:
        loaded.cluster.stop()


@pytest.mark.soak
def test_the_counters_equal_what_a_load_generator_and_the_proxys_log_counted(
    loaded: World, receiver: Receiver, tmp_path: Path
):
    replica = Replica(
        loaded, "counted", tmp_path, STATSD_HOST="localhost", STATSD_PORT=str(receiver.port),
        WEBAPP_STATEMENT_TIMEOUT_MS="2000", WEBAPP_REQUEST_TIMEOUT_MS="2500",
    )  # fmt: skip
    try:
        replica.wait_until_ready()
        nginx = Nginx([replica.port] * 3, tmp_path / "nginx")
        try:
            with Load(nginx.port, SEEDS, soak(20_000), silly=0.05) as load:
                report = load.stop()
            assert status(f"http://127.0.0.1:{nginx.port}/metrics") == 404
            page = urlopen(f"http://127.0.0.1:{replica.port}/metrics", timeout=30).read().decode()
        finally:
            nginx.stop()
        assert (report.failed, report.torn) == (0, 0), report.examples
        assert requests_of(page) == report.counts
        assert sum(report.counts.values()) == report.requests >= soak(20_000)
        assert len(report.counts) > 4
        of_many = 10 * report.counts["recommendations:batch 200"]
        of_one = report.counts["recommendations 200"] + report.counts["recommendations 304"]
        assert sum(lists_of(page, "shop").values()) == of_one + of_many
        logged = Counter(re.findall(r'"route":"([^"]+)","status":(\d+)', nginx.log.read_text()))
        assert {f"{r} {s}": n for (r, s), n in logged.items() if r not in ("health", "other")} == report.counts
    finally:
        assert replica.stop() == 0
    sent: Counter[str] = Counter()
    for line in receiver.lines():
        name, _, value = line.partition(":")
        if name.startswith("webapp.requests.") and ".health." not in name:
            route, code = name.removeprefix("webapp.requests.").rsplit(".", 1)
            sent[f"{route} {code}"] += int(value.removesuffix("|c"))
    assert sent == {name.replace(":", "_"): n for name, n in report.counts.items()}

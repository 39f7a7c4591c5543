"""The troubles of docs/drills.md that users notice: each is planted, its alert fires, and the runbook's way out is
taken as it stands there. Those of nights are planted elsewhere. Monitoring is tests/monitoring.py's."""

import contextlib
import os
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

from tests.commands import Command
from tests.debian_tools import needed
from tests.monitoring import Monitoring, wait_for
from tests.replicas import Replica
from tests.webapp_world import World, free_port, shop_batch, start_world
from tests.worlds import CATALOG

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="takes minutes: `make soak`"),
]

SLOW_SECONDS = 0.3
END_SECONDS = 600


class Shop:
    """A catalog with live lists, its web app, and who watches both."""

    def __init__(self, world: World, monitoring: Monitoring, port: int) -> None:
        self.world, self.monitoring, self.url = world, monitoring, f"http://127.0.0.1:{port}"

    def ask(self, path: str = "recommendations?user_id=u0001") -> int:
        try:
            with urllib.request.urlopen(f"{self.url}/v1/shop/{path}", timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def fires(self, alert: str) -> list[dict[str, str]]:
        """Wait for an alert at Alertmanager."""
        found: list[dict[str, str]] = wait_for(lambda: self.monitoring.fires(alert), alert, END_SECONDS)
        return found

    def ends(self, alert: str, **labels: str) -> None:
        """Wait until Prometheus raises it no more."""
        wait_for(lambda: not self.monitoring.raised(alert, **labels), f"the end of {alert}", END_SECONDS)


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("drills")
    world = start_world(folder / "world")
    try:
        world.make_catalog("shop")
        world.publish("shop", shop_batch())
        with contextlib.ExitStack() as stack:
            replica = Replica(world, "drilled", folder, WEBAPP_KEEP_MB="0", WEBAPP_STATEMENT_TIMEOUT_MS="5000",
                              WEBAPP_REQUEST_TIMEOUT_MS="6000")  # fmt: skip
            stack.callback(replica.stop)
            node, postgres = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
            monitoring = Monitoring(
                folder,
                {"webapp": [f"127.0.0.1:{replica.port}"], "node-exporter": [node], "postgres-exporter": [postgres]},
            )
            stack.callback(monitoring.stop)
            monitoring.start("prometheus-node-exporter", f"--web.listen-address={node}")
            monitoring.start(
                "prometheus-postgres-exporter", f"--web.listen-address={postgres}",
                DATA_SOURCE_NAME=world.url() + ("&" if "?" in world.url() else "?") + "sslmode=disable",
                PATH=os.environ["PATH"],
            )  # fmt: skip
            shop = Shop(world, monitoring, replica.port)
            wait_for(lambda: shop.ask() == 200, "a web app", END_SECONDS)
            wait_for(lambda: monitoring.query("pg_up == 1"), "Postgres' exporter", END_SECONDS)
            yield shop
    finally:
        world.cluster.stop()


def test_web_app_errors(drilled: Shop, tmp_path: Path):
    similar = "similar?item_id=item5"
    assert {drilled.ask(similar) for _ in range(5)} == {200}
    drilled.world.sql("alter function item_details rename to details_of_another", catalog="shop")
    wait_for(lambda: drilled.ask(similar) == 503, "an error")

    def errors() -> bool:
        drilled.ask(similar)
        return bool(drilled.monitoring.fires("ErrorBudgetBurnsFast"))

    wait_for(errors, "ErrorBudgetBurnsFast", END_SECONDS)
    assert drilled.monitoring.shows("serving: Errors", route="similar", status="503")[0] > 0
    # *The web app answers 503*, `not_migrated`: "Run `recjobs migrate`"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{drilled.url}/v1/shop/{similar}", timeout=60)
    assert b"not_migrated" in refused.value.read()
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(CATALOG))
    settings = {"RECJOBS_DATABASE_URL": drilled.world.url(), "RECJOBS_CATALOGS": str(tmp_path)}
    done = Command(("migrate",), settings | {"RECJOBS_STATE": str(tmp_path / "state")}).wait()
    assert done.code == 0, done.err
    assert "gets back what is not there" in done.err
    assert {drilled.ask(similar) for _ in range(10)} == {200}


def test_slow_queries(drilled: Shop):
    def hold() -> None:
        with contextlib.suppress(psycopg2.Error), contextlib.closing(psycopg2.connect(drilled.world.url())) as session:
            while True:
                with session, session.cursor() as cursor:
                    cursor.execute("lock table shop.live_batch in access exclusive mode")
                    cursor.execute("select pg_sleep(%s)", (SLOW_SECONDS,))

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()

    def slow() -> bool:
        assert drilled.ask() == 200
        return bool(drilled.monitoring.fires("LatencyBudgetBurnsFast"))

    wait_for(slow, "LatencyBudgetBurnsFast", END_SECONDS)
    assert max(drilled.monitoring.shows("serving: Latency budget, times its pace")) > 14.4
    # LatencyBudgetBurnsFast: this "shows what it does; end what does not belong there"
    active = "select pid, wait_event_type, query from pg_stat_activity where state = 'active'"
    found: list[Any] = wait_for(
        lambda: [pid for pid, _, query in drilled.world.sql(active) if query.startswith("select pg_sleep")], "its query"
    )
    drilled.world.sql("select pg_terminate_backend(%s)", found[0])
    holder.join(60)
    assert not holder.is_alive()

    def over() -> bool:
        assert drilled.ask() == 200
        return not drilled.monitoring.raised("LatencyBudgetBurnsFast")

    wait_for(over, "the end of LatencyBudgetBurnsFast", END_SECONDS)


def test_a_disk_that_is_nearly_full(drilled: Shop, tmp_path: Path):
    image, disk = tmp_path / "image", tmp_path / "disk"
    image.write_bytes(bytes(24 << 20))
    disk.mkdir()
    subprocess.run([needed("mkfs.ext4"), "-q", "-F", image], check=True, capture_output=True)
    if subprocess.run(["mount", "-o", "loop", image, disk], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a disk")
    try:
        full = disk / "log"
        with contextlib.suppress(OSError), full.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 20)):
                pass
        wait_for(
            lambda: str(disk) in {labels["mountpoint"] for labels in drilled.monitoring.fires("DiskNearlyFull")},
            "DiskNearlyFull of this disk", END_SECONDS,
        )  # fmt: skip
        assert drilled.monitoring.shows("machine: Least free on a disk")[0] < 0.1
        assert drilled.ask() == 200, "serving goes on"
        full.unlink()
        drilled.ends("DiskNearlyFull", mountpoint=str(disk))
    finally:
        subprocess.run(["umount", disk], check=True)


def test_postgres_is_gone(drilled: Shop):
    assert drilled.ask() == 200
    drilled.world.cluster.stop()
    try:
        wait_for(lambda: drilled.ask() == 503, "503")
        drilled.fires("PostgresAway")
        wait_for(lambda: drilled.monitoring.shows("machine: Alerts", alertname="PostgresAway"), "the board")
    finally:
        drilled.world.cluster.start()
    # "nothing else needs a restart once Postgres is back"
    wait_for(lambda: drilled.ask() == 200, "an answer")
    drilled.ends("PostgresAway")

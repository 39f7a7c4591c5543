"""A batch is loaded by one process at a time and where there is room; a full disk of Postgres is called that."""

import contextlib
import shutil
from pathlib import Path

import pytest

from recjobs.adapters.postgres_disk import free_bytes
from tests.publishing import DATES, prepared
from tests.worlds import MakeWorld, Postgres, World

SHORT = """
create function short() returns trigger language plpgsql as $$
begin
    raise exception '{}' using errcode = '{}';
end
$$;
create trigger short before insert on batch_records for each row execute function short();
"""


@pytest.fixture(scope="module")
def waiting(make_world: MakeWorld) -> tuple[World, str]:
    """A world in which a night waits to be published, and nothing is live."""
    world, [batch_id] = prepared(make_world, DATES[0])
    return world, batch_id


def test_a_batch_that_does_not_fit_is_not_loaded_and_says_what_it_needs(waiting: tuple[World, str]):
    world, batch_id = waiting
    done = world.recjobs("publish", "--batch-id", batch_id, RECJOBS_DATABASE_SPACE="30MB")
    assert done.code == 75
    assert "a disk is full, nearly" in done.message
    assert "MB are free within RECJOBS_DATABASE_SPACE" in done.message
    part = world.value("select partition_name('top_n', %s)", batch_id, role="admin")
    assert world.value(f"select count(*) from {part}", role="admin") == 0
    assert world.live() is None


@pytest.mark.parametrize(
    ("said", "code", "expected"),
    [
        ('could not extend file "base/1/2": No space left on device', "53100", "a disk is full: Postgres' (could not"),
        ("out of memory", "53200", "memory is short: Postgres' (out of memory)"),
    ],
)
def test_what_postgres_lacks_is_named_as_what_it_is(waiting: tuple[World, str], said: str, code: str, expected: str):
    world, batch_id = waiting
    world.rows(SHORT.format(said, code), role="admin")
    done = world.recjobs("publish", "--batch-id", batch_id)
    world.rows("drop function short cascade", role="admin")
    assert done.code == 75
    assert expected in done.message
    assert "make up" not in done.message


def test_one_process_loads_at_a_time(waiting: tuple[World, str]):
    world, batch_id = waiting
    other = world.postgres.connect("recjobs_loader", world.name)
    other.autocommit = False
    with contextlib.closing(other), other.cursor() as cursor:
        cursor.execute("select lock_loading()")
        assert cursor.fetchone() == (True,)
        done = world.recjobs("publish", "--batch-id", batch_id)
        assert done.code == 75
        assert f"another process is loading a batch of {world.name}" in done.message
    assert world.recjobs("publish", "--batch-id", batch_id).code == 0


def test_the_free_space_of_the_embedded_server_is_known_and_of_no_other(postgres: Postgres, tmp_path: Path):
    cluster = postgres.cluster
    free = free_bytes(cluster.state, cluster.url("recjobs_loader"))
    assert free is not None
    assert abs(free - shutil.disk_usage(cluster.data).free) < 1 << 30
    for elsewhere in (f"postgresql://x@db.example.com:{cluster.port}/recjobs", "postgresql://x@localhost:1/recjobs"):
        assert free_bytes(cluster.state, elsewhere) is None
    assert free_bytes(tmp_path, cluster.url("recjobs_loader")) is None

"""After `recjobs erase-user` the id is nowhere on the machine but in the source: whole nights, an export, requests, two
more nights and a restore."""

import hashlib
import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from tests.commands import Command, Done
from tests.integration.test_backup import lose, world_in_its_own_database
from tests.replicas import Replica, wait_for
from tests.secret_search import SecretSearch
from tests.worlds import EARLIER, Postgres, World, shop

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif("RECJOBS_SOAK" not in os.environ, reason="nights, and a search of all that they leave"),
]
CORE = "person-5b1f7c02"
"""What no way to quote the id changes."""
PERSON = f"o'h\"a & <{CORE}>"
HASHES = {name: hashlib.new(name, PERSON.encode()).hexdigest() for name in ("md5", "sha1", "sha256")}


def test_an_erased_person_is_nowhere_and_is_not_brought_back(postgres: Postgres, tmp_path: Path, figure: Any) -> None:
    world = world_in_its_own_database(postgres, tmp_path)
    goods = shop(60)
    users = goods.sound["user"].replace("user003", PERSON)
    world.write(replace(goods, sound=goods.sound.assign(user=users)))
    log = tmp_path / "logs" / "commands.log"
    log.parent.mkdir()

    def recjobs(verb: str, *arguments: str) -> Done:
        more = ("--catalog", world.name) if verb in {"night", "export", "erase-user"} else ()
        done = world.recjobs(verb, *arguments) if more else _of_all(world, verb, *arguments)
        with log.open("a") as file:
            file.write(done.out + done.err)
        assert done.code == 0, done.err
        return done

    def found() -> set[str]:
        search = SecretSearch({"id": CORE, **HASHES})
        search.files(tmp_path, [world.data, tmp_path / "back-ups"])
        search.tables(world.postgres.cluster.url())
        return {place.partition(" in ")[2] for place in search.found}

    recjobs("night", "--as-of", EARLIER)
    recjobs("export", "--to", str(tmp_path / "lists.csv"))
    recjobs("back-up", "--to", str(tmp_path / "back-ups"))
    asked = _ask(world, tmp_path)
    before, served = found(), _served(world)
    names = {Path(place).name for place in before}
    assert names >= {"lists.csv", "model.npz", "users.parquet", 'table "pg_catalog"."pg_statistic"'}, names
    assert any("_mlflow" in place for place in before)
    assert not any("logs" in place or place.endswith(".log") for place in before), "logs name nobody"

    recjobs("erase-user", "--user-id", PERSON)
    assert found() == set()
    assert asked != _ask(world, tmp_path), "the list of strangers"
    assert _served(world) == {user: items for user, items in served.items() if user != PERSON}
    for as_of in ("2025-06-23", "2025-06-27"):
        recjobs("night", "--as-of", as_of)
        assert found() == set(), as_of
    lose(world)
    recjobs("restore", "--from", str(tmp_path / "back-ups"))
    assert found() == set(), "after a restore"
    figure(f"A5: a person in {len(before)} places, in none after the erasure, two nights and a restore")


def _of_all(world: World, verb: str, *arguments: str) -> Done:
    return Command((verb, *arguments), world.settings).wait()


def _served(world: World) -> dict[str, list[str]]:
    return {row["user_id"]: row["item_ids"] for row in world.rows("select user_id, item_ids from served_lists")}


def _ask(world: World, folder: Path) -> bytes:
    """What the web app says about the person, with its log of requests on."""
    cluster: Any = world.postgres.cluster
    replica = Replica(cluster, f"web {time.monotonic_ns()}", folder, WEBAPP_REQUEST_LOG="true")
    try:
        replica.wait_until_ready()
        address = f"http://127.0.0.1:{replica.port}/v1/{world.name}/recommendations?user_id={quote(PERSON)}"
        with urlopen(Request(address), timeout=60) as answer:
            body: bytes = answer.read()
        wait_for(partial(_is_logged, replica))
        return body
    finally:
        replica.stop()


def _is_logged(replica: Replica) -> bool:
    return "recommendations" in replica.log.read_text()

"""Postgres in the cluster: what CloudNativePG does with the rendered Cluster, done to a real server.

It makes the database and its owner, runs postInitSQL as superuser, and from then on sets the managed roles back to what
the manifest says of them, what it does not say included. `recjobs migrate` comes before or after that, as the owner.
"""

import copy
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql

from local import postgres as local_postgres
from tests.kubernetes import Object, component_on_base, named
from tests.load import batch_of
from tests.pods import run_migration
from tests.webapp_world import World, free_port

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not os.environ.get("RECJOBS_SOAK"), reason="servers of their own: `make soak`"),
]

MEMBERSHIPS = "select r.rolname from pg_auth_members m join pg_roles r on r.oid = m.roleid where member = %s::regrole"


class Server:
    """An empty server, and the operator's part."""

    def __init__(self, folder: Path, spec: Object) -> None:
        parameters = spec["postgresql"]["parameters"]
        settings = {name: parameters[name] for name in ("max_connections", "reserved_connections")}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(local_postgres, "SERVER_SETTINGS", local_postgres.SERVER_SETTINGS | settings)
            self.cluster = local_postgres.Cluster(folder, free_port())
            self.cluster.start()
        self.spec, self._init = spec, spec["bootstrap"]["initdb"]
        self.as_superuser("drop database recjobs")
        self._roles = [role["name"] for role in spec["managed"]["roles"]]
        for name in self._roles:
            if name.startswith("recjobs_"):
                self.as_superuser(f"drop role {name}")

    def bootstrap(self) -> None:
        """What happens once."""
        owner = self._init["owner"]
        self.as_superuser(f"create role {owner} login password 'owner'")
        self.as_superuser(f"create database {self._init['database']} owner {owner}")
        for statement in self._init["postInitSQL"]:
            self.as_superuser(statement)

    def reconcile(self) -> list[str]:
        """What happens every minute; returns what it had to change."""
        changed = []
        for role in self.spec["managed"]["roles"]:
            name = role["name"]
            if not self.as_superuser("select 1 from pg_roles where rolname = %s", name):
                self.as_superuser(f"create role {name}")
            wanted = (role["login"], role.get("inherit", True), role.get("connectionLimit", -1), False)
            flags = "select rolcanlogin, rolinherit, rolconnlimit, rolcreaterole from pg_roles where rolname = %s"
            if self.as_superuser(flags, name) != [wanted]:
                changed.append(f"{name}: {self.as_superuser(flags, name)} is not {wanted}")
                inherit = "inherit" if wanted[1] else "noinherit"
                self.as_superuser(f"alter role {name} login {inherit} nocreaterole connection limit {wanted[2]}")
            has = {each for (each,) in self.as_superuser(MEMBERSHIPS, name)}
            for other in has ^ set(role.get("inRoles", [])):
                changed.append(f"{name}: {other}")
                self.as_superuser(f"revoke {other} from {name}" if other in has else f"grant {other} to {name}")
            self.as_superuser(sql.SQL("alter role {} password 'managed'").format(sql.Identifier(name)))
        return changed

    def as_superuser(self, statement: Any, *parameters: Any) -> list[Any]:
        """Run a statement as the operator does."""
        connection = psycopg2.connect(self.cluster.url("admin", "postgres"))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            found = cursor.fetchall() if cursor.description else []
        connection.close()
        return found


class ManagedWorld(World):
    """The same server, with the logins of the manifest."""

    def __init__(self, cluster: local_postgres.Cluster) -> None:
        self.cluster = cluster

    def url(self, role: str = "admin") -> str:
        """By TCP; the admin is the database's owner."""
        login = "recjobs_admin:owner" if role == "admin" else f"{role}:managed"
        return f"postgresql://{login}@127.0.0.1:{self.cluster.port}/recjobs"


@pytest.fixture
def spec(tmp_path_factory: pytest.TempPathFactory) -> Object:
    found: Object = named(
        component_on_base("cloudnative-pg", tmp_path_factory.mktemp("kustomize")), "Cluster", "postgres"
    )
    return found["spec"]  # type: ignore[no-any-return]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[[Object], Server]]:
    made: list[Server] = []

    def make(spec: Object) -> Server:
        made.append(Server(tmp_path / f"server{len(made)}", spec))
        return made[-1]

    yield make
    for server in made:
        server.cluster.stop()


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_owner_can_migrate_and_no_right_is_taken_away_again(
    make_server: Callable[[Object], Server], spec: Object, tmp_path: Path, order: str
):
    server = make_server(spec)
    server.bootstrap()
    if order == "before":
        server.reconcile()
    world = ManagedWorld(server.cluster)
    objects = component_on_base("host", tmp_path)
    run_migration(objects, world.url(), tmp_path / "first")
    for role in ("airflow", "mlflow"):
        assert server.as_superuser("select 1 from pg_roles where rolname = %s", role)
    assert [line for line in server.reconcile() if order == "before" or line.startswith("recjobs_")] == []
    server.as_superuser("alter role recjobs_web connection limit 1")
    assert server.reconcile() != [], "a difference is seen"

    make_catalog(world)
    world.publish("shop", batch_of("20240101T000000Z-1", 1))
    assert world.sql("select count(*) from served_lists", role="recjobs_web", catalog="shop") != [(0,)]
    assert world.sql("select pg_has_role('recjobs_web', 'recjobs_reader', 'set')") == [(False,)]


def make_catalog(world: World) -> None:
    """A catalog, as a night makes one: by the migrator."""
    from recjobs.adapters.migrations import migrate_catalog
    from recjobs.adapters.postgres import Database

    migrate_catalog(Database(world.url("recjobs_migrator"), "shop"), "A shop")


def test_roles_that_the_owner_may_not_administer_are_found(
    make_server: Callable[[Object], Server], spec: Object, tmp_path: Path
):
    planted = copy.deepcopy(spec)
    statements = planted["bootstrap"]["initdb"]["postInitSQL"]
    statements[:] = [each for each in statements if "to recjobs_admin" not in each]
    server = make_server(planted)
    server.bootstrap()
    with pytest.raises(AssertionError, match="permission denied to alter role"):
        run_migration(component_on_base("host", tmp_path), ManagedWorld(server.cluster).url(), tmp_path / "first")

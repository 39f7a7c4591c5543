"""Small worlds to run nights in, made by code so that a test knows the answer without asking recjobs.

The shop: 150 users of four tastes, 72 items in four categories of 18, 120 days. Nearly everybody buys within their
taste and never the same item twice, so a model can learn it and a list of best sellers cannot.
"""

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg2
import psycopg2.extras
import yaml

from local.postgres import Cluster
from tests.commands import Command, Done, Kill

DAY_0 = datetime(2025, 3, 1, tzinfo=UTC)
DAYS = 120
EARLIER = "2025-06-18"
"""A date to look back from, ten days before the end of a world."""

ODD_IDS = ["007", "7", "NA", "null", "None", "1e5", "\\N", "9223372036854775808", "🙂", "caf\u00e9", "cafe\u0301",
           "it's", '"quoted"', "a,b", "tab\there", "../up", " padded "]  # fmt: skip
COLUMNS = {"user_id": "user", "item_id": "item", "occurred_at": "at", "weight": "quantity"}
CATALOG: dict[str, Any] = {
    "description": "A shop for tests",
    "sources": [
        {
            "path": "rows/*.parquet",
            "where": {"of_a_test": {"column": "user", "matches": "^test-"}},
            "columns": COLUMNS,
        }
    ],
    "items": {
        "path": "items.csv",
        "columns": {"item_id": "id", "title": "title", "categories": "category", "price": "price", "available": "sold"},
    },
    "holdout_days": 30,
    "min_holdout_users": 20,
    "top_n": {"stored": 30, "served": 10},
    "model": {"factors": 8, "alpha": 10, "regularization": 1, "iterations": 8},
    "gate": {"max_relative_drop": 0.5, "max_segment_drop": 0.9, "max_neighbours_drop": 0.5},
}


@dataclass
class Goods:
    """What a world's files hold. `sound` are the rows that a night must accept, all different; the others it must
    leave out, for the reason that `bad` names."""

    sound: pd.DataFrame
    items: pd.DataFrame | None = None
    twice: int = 0
    of_a_test: int = 0
    bad: dict[str, dict[str, Any]] = field(default_factory=dict)

    def before(self, as_of: datetime) -> pd.DataFrame:
        """The sound rows that a night as of then may see."""
        return self.sound[self.sound["at"] < as_of]

    def rows(self) -> pd.DataFrame:
        """Everything, as it is written to files."""
        sound = self.sound.assign(at=[f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in self.sound["at"]])
        tests = sound.head(self.of_a_test).assign(user="test-1")
        bad = pd.DataFrame([sound.iloc[0].to_dict() | row for row in self.bad.values()], columns=sound.columns)
        return pd.concat([sound, sound.head(self.twice), tests, bad], ignore_index=True)


def shop(n_users: int = 150, seed: int = 1) -> Goods:
    """The shop, with odd ids, duplicates, rows to exclude and one bad row of each kind. Some users come late; one has
    bought nearly everything, one everything; one item is not sold any more."""
    rng = np.random.default_rng(seed)
    item_ids = [f"item{k:02}" for k in range(72 - len(ODD_IDS))] + ODD_IDS
    users = [f"user{k:03}" for k in range(n_users - len(ODD_IDS) - 2)] + ODD_IDS
    rows = []
    for k, user in enumerate(users):
        taste = k % 4
        first_day = DAYS - 8 if k % 10 == 9 else 0
        own = rng.permutation(np.arange(18) * 4 + taste)
        elsewhere = rng.permutation(np.setdiff1d(np.arange(72), own))[:2]
        for item in [*own[: rng.integers(6, 13)], *elsewhere[: rng.integers(0, 3)]]:
            rows.append((user, item_ids[item], first_day + rng.uniform() * (DAYS - first_day)))
    rows += [("everything", item, rng.uniform() * 100) for item in item_ids]
    rows += [("nearly everything", item, rng.uniform() * 100) for item in item_ids[:-3]]
    sound = pd.DataFrame(rows, columns=["user", "item", "day"])
    sound["at"] = [DAY_0 + timedelta(seconds=int(day * 86400)) for day in sound.pop("day")]
    sound["quantity"] = rng.integers(1, 5, len(sound)).astype(float)
    items = pd.DataFrame({"id": item_ids})
    items["title"] = [None if k % 9 == 8 else f"{'=' if k % 9 == 4 else ''}Thing no. {k}" for k in range(72)]
    items["category"] = [f"Taste {k % 4}" for k in range(72)]
    items["price"] = np.round(rng.uniform(1, 40, 72), 2)
    items["sold"] = ["no" if k == 10 else "yes" for k in range(72)]
    bad = {
        "empty_user_id": {"user": ""},
        "user_id_too_long": {"user": "u" * 257},
        "user_id_with_nul": {"user": "nul\0"},
        "empty_item_id": {"item": None},
        "bad_time": {"at": "some day"},
        "time_without_sense": {"at": "1970-01-01T00:00:00Z"},
        "time_in_future": {"at": "2999-01-01T00:00:00Z"},
        "bad_weight": {"quantity": float("nan")},
        "weight_not_positive": {"quantity": -2.0},
    }
    return Goods(sound, items, twice=12, of_a_test=5, bad=bad)


def by_chance(n_users: int = 80, n_items: int = 40, seed: int = 2) -> Goods:
    """Everybody buys anything: there is nothing to learn."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"u{u:02}", f"i{i:02}", DAY_0 + timedelta(seconds=int(rng.uniform() * DAYS * 86400)), 1.0)
        for u in range(n_users)
        for i in rng.choice(n_items, 12, replace=False)
    ]
    return Goods(pd.DataFrame(rows, columns=["user", "item", "at", "quantity"]))


def handful(pairs: list[tuple[str, str, float]]) -> Goods:
    """(user, item, day) one by one."""
    rows = [(user, item, DAY_0 + timedelta(days=day), 1.0) for user, item, day in pairs]
    return Goods(pd.DataFrame(rows, columns=["user", "item", "at", "quantity"]))


class Postgres:
    """A server with the five roles, and no catalog in it yet."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @property
    def settings(self) -> dict[str, str]:
        """RECJOBS_{OWNER,LOADER,PUBLISHER,READER}_URL; no role of them is a superuser, and there is no URL for
        everything, so that a night has only the rights it was granted."""
        urls = self.cluster.urls()
        return {
            f"RECJOBS_{role}_URL": urls[f"RECJOBS_{role}_URL"] for role in ("OWNER", "LOADER", "PUBLISHER", "READER")
        }

    def do_not_wait_for_the_disk(self) -> None:
        """Lose what is written if the machine loses its power; a process that is killed loses nothing by it."""
        self.rows("alter system set fsync = off", role="admin")
        self.rows("select pg_reload_conf()", role="admin")

    def connect(self, role: str = "recjobs_reader", catalog: str = "pg_temp") -> Any:
        """A connection in autocommit mode; the caller closes it."""
        connection = psycopg2.connect(self.cluster.url(role), options=f"-c search_path={catalog},pg_temp")
        connection.autocommit = True
        return connection

    def rows(self, statement: str, *parameters: Any, role: str, catalog: str = "pg_temp") -> list[dict[str, Any]]:
        """Every row of one statement."""
        connection = self.connect(role, catalog)
        try:
            with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                cursor.execute(statement, parameters or None)
                return [dict(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()


class World:
    """One catalog in a folder of its own, with everything that `recjobs` needs to run in it."""

    TABLES = (
        "batch_records live_batch champion_model models promotion_records evaluation_records report_records"
        " publish_records top_n similar_lists popular_lists item_records history_lists challenger_records"
        " exposure_records"
    )

    def __init__(self, folder: Path, name: str, postgres: Postgres, mlflow: str) -> None:
        self.folder, self.name, self.postgres = folder, name, postgres
        self.data, self.catalogs, self.artifacts = folder / "data", folder / "catalogs", folder / "state" / "artifacts"
        for made in (self.data, self.catalogs):
            made.mkdir(parents=True)
        self.catalog = copy.deepcopy(CATALOG)
        self.goods = Goods(pd.DataFrame())
        self.settings = {
            "RECJOBS_STATE": str(folder / "state"),
            "RECJOBS_CATALOGS": str(self.catalogs),
            "RECJOBS_DATA": str(self.data),
            "RECJOBS_THREADS": "1",
            "MLFLOW_TRACKING_URI": mlflow,
            **postgres.settings,
        }

    def write(self, goods: Goods, **changes: Any) -> "World":
        """Write the files and the catalog; changes replace top-level keys of CATALOG."""
        self.goods = goods
        rows, half = goods.rows(), len(goods.sound) // 2
        (self.data / "rows").mkdir(exist_ok=True)
        rows.iloc[:half].to_parquet(self.data / "rows" / "part-1.parquet", index=False)
        rows.iloc[half:].to_parquet(self.data / "rows" / "part-2.parquet", index=False)
        self.catalog = {**CATALOG, **changes}
        if goods.items is None:
            self.catalog.pop("items", None)
        else:
            goods.items.to_csv(self.data / "items.csv", index=False)
        return self.write_catalog(self.catalog)

    def write_catalog(self, tree: dict[str, Any]) -> "World":
        """Write the catalog file."""
        (self.catalogs / f"{self.name}.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
        return self

    def start(
        self,
        verb: str,
        *arguments: str,
        kill: Kill | None = None,
        constants: Mapping[str, Any] | None = None,
        **settings: str,
    ) -> Command:
        """Start `recjobs <verb> --catalog <this one>`."""
        return Command((verb, "--catalog", self.name, *arguments), self.settings | settings, kill, constants)

    def recjobs(
        self,
        verb: str,
        *arguments: str,
        kill: Kill | None = None,
        constants: Mapping[str, Any] | None = None,
        **settings: str,
    ) -> Done:
        """Run `recjobs <verb> --catalog <this one>` to its end."""
        return self.start(verb, *arguments, kill=kill, constants=constants, **settings).wait()

    def night(self, *arguments: str, kill: Kill | None = None, **settings: str) -> Done:
        """Run `recjobs night --json`."""
        return self.recjobs("night", "--json", *arguments, kill=kill, **settings)

    def publish(self, *arguments: str) -> str:
        """A night that must publish; returns its batch id."""
        done = self.night(*arguments)
        assert done.code == 0, done.err
        assert done.json["steps"]["publish"]["moved"], done.json
        return str(done.json["batch_id"])

    def rows(self, statement: str, *parameters: Any, role: str = "recjobs_reader") -> list[dict[str, Any]]:
        """Every row of one statement in this catalog's schema."""
        return self.postgres.rows(statement, *parameters, role=role, catalog=self.name)

    def value(self, statement: str, *parameters: Any, role: str = "recjobs_reader") -> Any:
        """The one value of the one row of a statement, or None."""
        rows = self.rows(statement, *parameters, role=role)
        return next(iter(rows[0].values())) if rows else None

    def live(self) -> str | None:
        """The live batch."""
        found: str | None = self.value("select batch_id from batches where is_live")
        return found

    def everything(self) -> str:
        """All that the catalog's tables hold, hashed: equal before and after, if nothing changed. What was found in a
        night's input is no part of it: that is kept of a refused night as well."""
        of = "(select coalesce(md5(string_agg(t::text, '' order by t::text)), 'empty') from {} as t)"
        hashes = [of.format(name) for name in self.TABLES.split()]
        return str(self.value(f"select concat_ws(' ', {', '.join(hashes)})", role="admin"))

    def step(self, batch_id: str, step: str, name: str) -> Path:
        """A file of a night."""
        return self.artifacts / self.name / batch_id / step / name


MakeWorld = Callable[..., World]
"""make(goods, **changes of the catalog) -> a world of its own."""


def soak(n: int, share: int = 20) -> int:
    """The full count in `make soak`, else a twentieth (or another share) of it, and 1 at least."""
    return n if os.environ.get("RECJOBS_SOAK") else max(1, n // share)

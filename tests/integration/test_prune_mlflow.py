"""MLflow's runs, model versions and files go with their age; thirty nights leave as much as ten did."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recjobs.adapters.mlflow_registry import Registry
from tests.integration.test_backup import recjobs
from tests.worlds import World, soak

NIGHTS, KEPT_DAYS, IN_CHARGE = soak(30, share=2), 8, 2
FIRST = datetime(2025, 1, 1, tzinfo=UTC)


class Store:
    """A MLflow of one catalog, `shop`, whose nights began when the test says."""

    def __init__(self, folder: Path) -> None:
        self.database, self.root = folder / "mlflow.db", folder / "_mlflow"
        self.runs = Registry(f"sqlite:///{self.database}", str(self.root), "shop")

    def night(self, number: int, with_model: bool) -> None:
        """A run with a file, and a model version of a batch."""
        run_id = self.runs.run_of(f"night-{number}")
        self.runs.log(run_id, params={"factors": 8}, metrics={"ndcg_at_20": 0.1}, tags={})
        self.runs.attach(run_id, "report.html", "x" * 10_000)
        if with_model:
            self.runs.register(run_id, f"night-{number}", b"a model " * 500, f"{number:064}", {})
        self.runs.finish(run_id)
        self.began(f"night-{number}", FIRST + timedelta(days=number))

    def began(self, batch_id: str, at: datetime) -> None:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            of = "run_uuid in (select run_uuid from tags where key = 'batch_id' and value = ?)"
            moved = connection.execute(
                f"update runs set start_time = ? where {of}", (round(1000 * at.timestamp()), batch_id)
            )
            assert moved.rowcount == 1

    def rows(self) -> dict[str, int]:
        with closing(sqlite3.connect(self.database)) as connection:
            # of a version MLflow keeps the row, marked as deleted
            versions = "model_versions where current_stage <> 'Deleted_Internal'"
            tables = {name: name for name in ("runs", "logged_models", "metrics", "params")}
            return {
                name: connection.execute(f"select count(*) from {table}").fetchone()[0]
                for name, table in (tables | {"model_versions": versions}).items()
            }

    def files(self) -> int:
        return sum(1 for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_nights_leave_as_much_as_a_few_did_and_the_model_in_charge_stays(store: Store):
    sizes = []
    for number in range(NIGHTS):
        store.night(number, with_model=number in (1, IN_CHARGE, 3))
        if number == IN_CHARGE:
            version = store.runs.version_of(f"night-{IN_CHARGE}", f"{IN_CHARGE:064}")
            store.runs.set_champion(version)
        before = FIRST + timedelta(days=number - KEPT_DAYS)
        expected = store.runs.prune({"night-0"}, before, dry_run=True)
        rows = store.rows()
        assert store.runs.prune({"night-0"}, before, dry_run=False) == expected
        assert rows["runs"] - store.rows()["runs"] == expected["mlflow_runs"], "a dry run removes nothing"
        sizes.append((store.rows(), store.files()))
    assert sizes[-1] == sizes[-2] == sizes[KEPT_DAYS + 5]
    left, _ = sizes[-1]
    # those of the last days; the batch that is kept; the one in charge
    assert (left["runs"], left["model_versions"], left["logged_models"]) == (KEPT_DAYS + 1 + 2, 1, 1)
    assert store.runs.version_of(f"night-{IN_CHARGE}", f"{IN_CHARGE:064}") == version
    assert store.runs.version_of("night-1", f"{1:064}") is None


def test_prune_looks_into_mlflow_only_where_something_can_be_old(empty: World):
    runs = Registry(empty.settings["MLFLOW_TRACKING_URI"], f"{empty.artifacts}/_mlflow", empty.name)
    old = runs.run_of("20200101T000000Z-1")
    database = empty.settings["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("update runs set start_time = 1 where run_uuid = ?", (old,))
    empty.write_catalog(empty.catalog | {"keep": {"mlflow_days": 40}})
    prune = ("prune", "--catalog", empty.name)
    assert recjobs(empty, *prune).json["mlflow"] == {}, "no night is so old"
    empty.rows("insert into begin_records (began_at, state) values (now() - interval '41 days', 'done')", role="admin")
    found = {"mlflow_runs": 1, "mlflow_versions": 0}
    assert recjobs(empty, *prune, "--dry-run").json["mlflow"] == found
    assert recjobs(empty, *prune).json["mlflow"] == found
    assert recjobs(empty, *prune).json["mlflow"] == found | {"mlflow_runs": 0}

"""The contract of finished lists, held against a batch in Postgres by one query that shares nothing with recjobs."""

from pathlib import Path

import pandas as pd
import psycopg2.extras

from tests.worlds import World

CONTRACT = Path(__file__).with_name("list_contract.sql").read_text()


def broken_lists(world: World, batch_id: str, planted: str = "select") -> dict[str, int]:
    """How many lists of a batch break which rule, after a planted defect that is taken back."""
    as_of = world.value("select as_of from batches where batch_id = %s", batch_id)
    accepted = world.goods.before(as_of)[["user", "item"]].drop_duplicates()
    items = set(accepted["item"])
    if world.goods.items is not None:
        said = world.goods.items
        items |= set(said.loc[said["title"].notna() | said["category"].notna(), "id"])
        items -= set(said.loc[said["sold"] == "no", "id"])
    connection = world.postgres.connect("admin", world.name)
    connection.autocommit = False
    try:
        with connection.cursor() as cursor:
            cursor.execute('create temp table accepted (user_id text collate "C", item_id text collate "C")')
            cursor.execute('create temp table eligible (item_id text collate "C")')
            psycopg2.extras.execute_values(cursor, "insert into accepted values %s", accepted.to_numpy().tolist())
            psycopg2.extras.execute_values(cursor, "insert into eligible values %s", [(item,) for item in items])
            cursor.execute("create index on accepted (user_id, item_id)")
            cursor.execute("analyze accepted, eligible")  # else each rule is a nested loop over them
            cursor.execute(planted, {"batch_id": batch_id})
            stored = world.catalog["top_n"]["stored"]
            cursor.execute(CONTRACT, {"batch_id": batch_id, "stored": stored})
            rules = pd.Series([rule for rule, _ in cursor.fetchall()], dtype=str)
            return {str(rule): int(n) for rule, n in rules.value_counts().items()}
    finally:
        connection.rollback()
        connection.close()

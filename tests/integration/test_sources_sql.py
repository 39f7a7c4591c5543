"""Rows from queries of a Postgres: the same lists as from files, or refused without a word of the password."""

import contextlib
import copy
import gzip
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import psycopg2.extras
import psycopg2.sql
import pytest

from local import ports
from recjobs.adapters import sources
from recjobs.adapters.sources import query
from recjobs.errors import DataRefused
from tests.s3_server import running
from tests.worlds import COLUMNS, EARLIER, Goods, MakeWorld, Postgres, World, shop

SHOP = "shop_of_sql_sources"
ROWS = 'select customer as "user", product as item, at, quantity from sold'
ITEMS = "select id, title, string_agg(category, '|') as category, price, sold from goods group by 1, 2, 4, 5;  -- all"
GOODS = Goods(shop().sound, shop().items)
HOSTILE = ["007", "NA", "null", "\\N", "\\.", 'a "b", c', "line\nbreak\r\n", "tab\t", "é", "é", "'", "-- x", "🙂", " "]


@pytest.fixture(scope="module")
def source_url(postgres: Postgres) -> str:
    """Another database of the same server, with the rows of the shop and a clock far from UTC."""
    with_admin = psycopg2.connect(postgres.cluster.url())
    with_admin.autocommit = True
    with with_admin.cursor() as cursor:
        cursor.execute(f"create database {SHOP}")
        cursor.execute(f"alter database {SHOP} set timezone to 'Asia/Kolkata'")
        cursor.execute(f"alter database {SHOP} set datestyle to 'German'")
    with_admin.close()
    url = postgres.cluster.url(database=SHOP)
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("create table sold (customer text, product text, at timestamptz, quantity int)")
        cursor.execute("create table goods (id text, title text, category text, price numeric, sold bool)")
        rows = GOODS.sound.itertuples(index=False, name=None)
        psycopg2.extras.execute_values(cursor, "insert into sold values %s", [row[:4] for row in rows], page_size=5000)
        assert GOODS.items is not None
        items = [(r.id, r.title, r.category, r.price, r.sold == "yes") for r in GOODS.items.itertuples()]
        psycopg2.extras.execute_values(cursor, "insert into goods values %s", items)
        cursor.execute("create table odd (id text, n int)")
        psycopg2.extras.execute_values(cursor, "insert into odd values %s", list(zip(HOSTILE, range(99), strict=False)))
    connection.close()
    return url


def by_sql(tree: dict[str, Any], sql: str, **changes: Any) -> dict[str, Any]:
    tree = copy.deepcopy(tree)
    tree["sources"] = [{"sql": sql, "connection": "shop", "columns": COLUMNS, **changes}]
    return tree


@pytest.fixture(scope="module")
def world(make_world: MakeWorld, source_url: str) -> World:
    made = make_world(GOODS)
    made.settings["RECJOBS_CONNECTION_SHOP"] = source_url
    return made


@pytest.fixture
def refused(world: World):
    """What `begin` says to a catalog whose rows come from this query, by exit code."""

    def run(code: int, sql: str, url: str | None = None, **changes: Any) -> str:
        world.write_catalog(by_sql(world.catalog, sql, **changes))
        done = world.recjobs("begin", **({} if url is None else {"RECJOBS_CONNECTION_SHOP": url}))
        assert done.code == code, done
        return done.message

    return run


def test_a_night_from_queries_makes_the_lists_that_a_night_from_files_makes(
    make_world: MakeWorld, source_url: str
) -> None:
    by_file = make_world(GOODS)
    by_file.publish("--as-of", EARLIER)
    asked = make_world(GOODS)
    asked.settings["RECJOBS_CONNECTION_SHOP"] = source_url
    tree = by_sql(asked.catalog, ROWS)
    tree["items"] |= {"sql": ITEMS, "connection": "shop"}
    del tree["items"]["path"]
    asked.write_catalog(tree)
    batch_id = asked.publish("--as-of", EARLIER)
    checksum = "select checksum from batches where is_live"
    assert asked.value(checksum) == by_file.value(checksum)
    inputs = sorted((asked.artifacts / asked.name / "_inputs").iterdir())
    assert len(inputs) == 2
    for kept in inputs:
        assert kept.name == f"{hashlib.sha256(gzip.decompress(kept.read_bytes())).hexdigest()}.csv.gz"
    secrets = [source_url, source_url.split(":")[2].split("@")[0]]
    everything = [p for p in (asked.artifacts / asked.name / batch_id).rglob("*") if p.is_file()]
    assert not [p for p in everything if any(secret.encode() in p.read_bytes() for secret in secrets)]
    # the same result again: the same input, and nothing to do
    again = asked.night("--as-of", EARLIER)
    assert again.code == 0
    assert again.json["nothing_new"], again.json
    assert sorted((asked.artifacts / asked.name / "_inputs").iterdir()) == inputs


def test_a_session_for_a_query_is_read_only_also_behind_its_transaction(source_url: str, tmp_path: Path) -> None:
    asked = "select current_setting('default_transaction_read_only') a, current_setting('transaction_read_only') b"
    file = query.pin(asked, "shop", "sources.0", source_url, str(tmp_path), {"user_id": "a", "item_id": "b"})
    assert gzip.decompress(Path(file.path).read_bytes()) == b"a,b\non,on\n"


@pytest.mark.parametrize("text", ["select 1; drop table odd", "select 1) as r; drop table odd; --", "delete from odd"])
def test_postgres_own_parser_has_the_last_word(source_url: str, text: str) -> None:
    connection = psycopg2.connect(source_url)
    with contextlib.closing(connection), connection.cursor() as cursor, pytest.raises(psycopg2.ProgrammingError):
        query._check_statement(cursor, psycopg2.sql.SQL("select * from (\n" + text + "\n) as recjobs_row limit 0"))


def test_a_night_reads_what_was_found_when_it_began(world: World, source_url: str) -> None:
    world.write_catalog(by_sql(world.catalog, ROWS))
    begun = world.recjobs("begin", "--json", "--as-of", EARLIER).json["batch_id"]
    away = f"postgresql://nobody@127.0.0.1:{ports.any_free()}/none"
    done = world.recjobs("extract", "--batch-id", begun, RECJOBS_CONNECTION_SHOP=away)
    assert done.code == 0, done.err
    [kept] = (world.artifacts / world.name / "_inputs").iterdir()
    content = kept.read_bytes()
    kept.write_bytes(gzip.compress(gzip.decompress(content)[:-1] + b"\r"))
    done = world.recjobs("extract", "--batch-id", begun)
    kept.write_bytes(content)
    assert done.code == 65
    assert f"{kept}: changed while the night was running" in done.message


def test_odd_ids_come_out_of_postgres_byte_for_byte(world: World, source_url: str, tmp_path: Any) -> None:
    text = "select id, n from odd"
    file = query.pin(text, "shop", "items", source_url, str(tmp_path), {"item_id": "id"})
    rows = [
        row for batch in sources.read(file, ["id", "n"]) for row in zip(*(c.to_pylist() for c in batch), strict=True)
    ]
    assert sorted(rows) == sorted((id_, str(n)) for n, id_ in enumerate(HOSTILE))
    shuffled = "select id, n from odd order by random()"
    assert query.pin(shuffled, "shop", "items", source_url, str(tmp_path), {}) == file
    assert query.pinned(file.path) == file
    assert [p.name for p in tmp_path.iterdir()] == [f"{file.sha256}.csv.gz"]


def test_a_time_is_utc_whatever_the_database_thinks(source_url: str, tmp_path: Any) -> None:
    sql = "select timestamptz '2025-03-01 12:00+00' as at, date '2025-03-02' as day, 0.1::float8 + 0.2 as f"
    file = query.pin(sql, "shop", "sources.0", source_url, str(tmp_path), {})
    [batch] = sources.read(file, ["at", "day", "f"])
    assert batch.to_pylist() == [{"at": "2025-03-01 12:00:00+00", "day": "2025-03-02", "f": "0.30000000000000004"}]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("selec 1", "sources.0.sql: begins with selec; give one select, with, values or table"),
        ("select from from", 'sources.0.sql: Postgres says: syntax error at or near "from"'),
        ("select * from nowhere", 'relation "nowhere" does not exist'),
        ("select 1/0 as \"user\", '' as item", "division by zero"),
        ("select 1; select 2", "sources.0.sql: holds several statements; give one select"),
        ("select 1) as q; drop table sold; --", "closes a bracket that it did not open"),
        ("delete from sold returning *", "sources.0.sql: begins with delete; give one select"),
        (
            "select lo_create(0) as \"user\", '' as item, now() as at, 1 as quantity",
            "sources.0.sql: a source is only read: cannot execute lo_create() in a read-only",
        ),
        ("select nextval('s')", "does not exist"),
    ],
)
def test_a_statement_that_cannot_be_or_would_write_is_exit_78(refused: Any, sql: str, said: str) -> None:
    assert said in refused(78, sql)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("1.5::float8", "column 'item' is double precision, which is written in more than one way; cast it to bigint"),
        ("1::real", "real"),
        ("1.50::numeric", "numeric with a fraction"),
        ("1::numeric(9, 2)", "numeric with a fraction"),
        ("true", "boolean"),
        ("current_date", "date"),
    ],
)
def test_a_type_that_cannot_be_an_id_is_exit_65(refused: Any, column: str, said: str) -> None:
    assert said in refused(65, f"select 'u' as \"user\", {column} as item, now() as at, 1 as quantity")


def test_a_list_of_categories_says_how_to_write_it(source_url: str, tmp_path: Any) -> None:
    text = "select 'i' as id, array['a', 'b'] as c"
    with pytest.raises(DataRefused, match=r"items\.sql: column 'c' is text\[\]; say array_to_string\(c, '\|'\)"):
        query.pin(text, "shop", "items", source_url, str(tmp_path), {"item_id": "id", "categories": "c"})


def test_a_column_that_the_query_lacks_is_named(refused: Any) -> None:
    assert "sources.0.sql: has no column 'item', 'at', 'quantity'; it has 'user'" in refused(
        65, "select 'u' as \"user\""
    )


def test_a_query_that_finds_nothing_is_refused(refused: Any) -> None:
    assert "no rows in the query of shop" in refused(65, f"{ROWS} where false")


def test_a_connection_that_is_not_set_is_exit_78_with_its_name(refused: Any) -> None:
    said = refused(78, ROWS, url="")
    assert "RECJOBS_CONNECTION_SHOP is not set, and a source has `connection: shop`" in said


def test_a_wrong_password_is_exit_78_and_never_shown(refused: Any, postgres: Postgres) -> None:
    url = f"postgresql://admin:s3cret@127.0.0.1:{postgres.cluster.port}/{SHOP}"
    said = refused(78, ROWS, url=url)
    assert f"Postgres does not let admin@127.0.0.1/{SHOP} in" in said
    assert "see to RECJOBS_CONNECTION_SHOP" in said
    assert "s3cret" not in said


@pytest.mark.parametrize("url", ["postgresql://u:s3cret@[::1/x", "mysql://u:s3cret@host/x", "s3cret"])
def test_a_url_that_is_none_is_exit_78_and_never_shown(refused: Any, url: str) -> None:
    said = refused(78, ROWS, url=url)
    assert "RECJOBS_CONNECTION_SHOP is no URL such as postgresql://" in said
    assert "s3cret" not in said


def test_a_postgres_that_is_away_is_exit_75(refused: Any) -> None:
    said = refused(75, ROWS, url=f"postgresql://u:{quote('p@ss')}@127.0.0.1:{ports.any_free()}/x")
    assert "Postgres at u@127.0.0.1/x does not answer" in said


def test_a_postgres_without_a_connection_left_is_exit_75_and_says_what_to_do(refused: Any, postgres: Postgres) -> None:
    postgres.rows("create role crowded login password 's3cret' connection limit 0", role="admin")
    try:
        said = refused(75, ROWS, url=f"postgresql://crowded:s3cret@127.0.0.1:{postgres.cluster.port}/{SHOP}")
    finally:
        postgres.rows("drop role crowded", role="admin")
    assert f"Postgres has no connection left for crowded@127.0.0.1/{SHOP}" in said
    assert "pg_stat_activity" in said
    assert "s3cret" not in said


def test_a_result_is_kept_in_s3_where_the_artifacts_are(world: World) -> None:
    world.write_catalog(by_sql(world.catalog, ROWS))
    with running() as server:
        settings = {**server.settings, "RECJOBS_ARTIFACTS": "s3://bucket/artifacts"}
        batch_id = world.recjobs("begin", "--json", **settings).json["batch_id"]
        done = world.recjobs("extract", "--batch-id", batch_id, "--json", **settings)
        assert done.json == {"read": len(GOODS.sound), "excluded": 0}
        kept = [name for name in server.objects if "/_inputs/" in name and not name.endswith("/")]
        [content] = [gzip.decompress(server.objects[name]) for name in kept]
        assert kept == [f"bucket/artifacts/{world.name}/_inputs/{hashlib.sha256(content).hexdigest()}.csv.gz"]

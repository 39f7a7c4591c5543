"""Faults of schemas: columns that are missing, called otherwise, or of a type that cannot hold what they should."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa

from tests.corpus.ground import SOUND, Ground, csv_of, table_of
from tests.worlds import DAY_0

N = len(SOUND)
INSTANTS = [DAY_0 + timedelta(hours=12 * n) for n in range(N)]
USERS = [row["user"] for row in SOUND]


def column_missing(ground: Ground) -> None:
    ground.table(table_of().drop_columns("quantity"))


def column_missing_in_one_of_two_files(ground: Ground) -> None:
    ground.table(table_of(), "rows/1.parquet")
    ground.table(table_of().drop_columns("item"), "rows/2.parquet")
    ground.source["path"] = "rows"


def column_in_another_case(ground: Ground) -> None:
    ground.table(table_of().rename_columns(["User", "item", "at", "quantity"]))


def column_with_a_blank_before_its_name(ground: Ground) -> None:
    ground.file(csv_of(SOUND).replace(b"user,item", b"user, item", 1))


def column_twice(ground: Ground) -> None:
    ground.file(b"user,item,at,quantity,user\n" + b"u1,i1,2025-06-09,1,u2\n")


def column_twice_in_parquet(ground: Ground) -> None:
    ground.table(table_of().append_column("user", pa.array(USERS)))


def columns_no_one_asked_for(ground: Ground) -> None:
    nested = pa.array([{"a": [n, None], "b": {"c": b"\xff"}} for n in range(N)])
    ground.table(table_of().append_column("nested", nested).append_column("null", pa.nulls(N)))


def columns_in_another_order(ground: Ground) -> None:
    ground.table(table_of().select(["quantity", "at", "item", "user"]))


def column_of_a_rule_missing(ground: Ground) -> None:
    ground.rows()
    ground.source["where"] = {"returns": {"column": "invoice", "matches": "^C"}}


def field_inside_a_struct(ground: Ground) -> None:
    ground.table(table_of().append_column("who", pa.array([{"id": user} for user in USERS])))
    ground.source["columns"] = ground.source["columns"] | {"user_id": "who.id"}


def id_as_float(ground: Ground) -> None:
    ground.column("user", pa.array([float(n % 40) for n in range(N)]))


def id_as_switch(ground: Ground) -> None:
    ground.column("user", pa.array([n % 2 == 0 for n in range(N)]))


def id_as_instant(ground: Ground) -> None:
    ground.column("item", pa.array(INSTANTS))


def id_as_date(ground: Ground) -> None:
    ground.column("item", pa.array([at.date() for at in INSTANTS]))


def id_as_list(ground: Ground) -> None:
    ground.column("item", pa.array([[user] for user in USERS]))


def id_as_struct(ground: Ground) -> None:
    ground.column("user", pa.array([{"id": user} for user in USERS]))


def id_as_decimal(ground: Ground) -> None:
    ground.column("user", pa.array([Decimal(n % 40) for n in range(N)], pa.decimal128(10, 2)))


def id_as_bytes(ground: Ground) -> None:
    ground.column("user", pa.array([user.encode() for user in USERS]))


def id_as_bytes_that_are_no_text(ground: Ground) -> None:
    ground.column("user", pa.array([b"\xff" + user.encode() for user in USERS]))


def id_as_bytes_of_one_length(ground: Ground) -> None:
    ground.column("user", pa.array([user.encode() for user in USERS], pa.binary(3)))


def id_as_text_that_is_none(ground: Ground) -> None:
    garbled = pa.array([b"\xe9t\xe9"] * N, pa.binary())
    ground.column("user", pa.Array.from_buffers(pa.string(), N, garbled.buffers()))


def id_as_dictionary(ground: Ground) -> None:
    ground.column("user", pa.array(USERS).dictionary_encode())


def id_as_large_text(ground: Ground) -> None:
    ground.column("user", pa.array(USERS, pa.large_string()))


def id_as_small_integer(ground: Ground) -> None:
    ground.column("user", pa.array([n % 40 for n in range(N)], pa.int8()))


def id_without_a_value(ground: Ground) -> None:
    ground.column("user", pa.nulls(N))


def type_that_changes_between_files(ground: Ground) -> None:
    ground.table(table_of(), "rows/1.parquet")
    ground.table(table_of().set_column(1, "item", pa.array(range(N))), "rows/2.parquet")
    ground.source["path"] = "rows/*.parquet"


def texts_of_two_kinds_in_two_files(ground: Ground) -> None:
    table = table_of()
    ground.table(table.slice(0, 100), "rows/1.parquet")
    large = pa.array(USERS, pa.large_string())
    ground.table(table.set_column(0, "user", large).slice(100), "rows/2.parquet")
    ground.source["path"] = "rows/*.parquet"


def weight_as_decimal(ground: Ground) -> None:
    ground.column("quantity", pa.array([Decimal("1.50")] * N, pa.decimal128(10, 2)))


def weight_as_text(ground: Ground) -> None:
    ground.column("quantity", pa.array(["2.5"] * N))


def weight_as_instant(ground: Ground) -> None:
    ground.column("quantity", pa.array(INSTANTS))


def weight_as_list(ground: Ground) -> None:
    ground.column("quantity", pa.array([[1.0]] * N))


def weight_as_bytes(ground: Ground) -> None:
    ground.column("quantity", pa.array([b"\xff"] * N))


def weight_without_a_value(ground: Ground) -> None:
    ground.column("quantity", pa.nulls(N))


def time_as_date(ground: Ground) -> None:
    ground.column("at", pa.array([at.date() for at in INSTANTS]))


def time_as_date_beyond_all_years(ground: Ground) -> None:
    days = [(at.date() - date(1970, 1, 1)).days for at in INSTANTS]
    ground.column("at", pa.array([*days[:-2], 2**31 - 1, -(2**31)], pa.int32()).cast(pa.date32()))


def time_in_milliseconds_beyond_all_years(ground: Ground) -> None:
    ms = [1000 * int(at.timestamp()) for at in INSTANTS]
    # in microseconds and 64 bits, 2**61 milliseconds later is the same number
    ground.column("at", pa.array([*ms[:-2], 2**63 - 1, ms[0] + 2**61], pa.timestamp("ms")))


def time_in_nanoseconds(ground: Ground) -> None:
    ground.column("at", pa.array([datetime.replace(at, tzinfo=None) for at in INSTANTS], pa.timestamp("ns")))


def time_with_an_unknown_timezone(ground: Ground) -> None:
    ground.column("at", pa.array(INSTANTS).cast(pa.int64()).cast(pa.timestamp("us", "Mars/Phobos")))


def time_as_list(ground: Ground) -> None:
    ground.column("at", pa.array([[row["at"]] for row in SOUND]))


def time_as_struct(ground: Ground) -> None:
    ground.column("at", pa.array([{"at": row["at"]} for row in SOUND]))


def time_as_switch(ground: Ground) -> None:
    ground.column("at", pa.array([True] * N))


def time_of_day_only(ground: Ground) -> None:
    ground.column("at", pa.array([at.time() for at in INSTANTS]))


def time_as_bytes_that_are_no_text(ground: Ground) -> None:
    ground.column("at", pa.array([b"\xff"] * N))


def kind_as_list(ground: Ground) -> None:
    ground.table(table_of().append_column("what", pa.array([["purchase"]] * N)))
    ground.source["columns"] = ground.source["columns"] | {"kind": "what"}


def kind_as_bytes_that_are_no_text(ground: Ground) -> None:
    ground.table(table_of().append_column("what", pa.array([b"\xff"] * N)))
    ground.source["columns"] = ground.source["columns"] | {"kind": "what"}


def items_with_ids_as_float(ground: Ground) -> None:
    ground.rows()
    path = ground.table(pa.table({"id": [1.5]}), "items.parquet")
    ground.source["path"] = "rows.csv"
    ground.tree["items"] = {"path": path.name, "columns": {"item_id": "id"}, "unknown": "quarantine"}


def items_with_a_column_missing(ground: Ground) -> None:
    ground.rows()
    (ground.data / "items.csv").write_text("id,title\ni00,Lamp\n")
    columns = {"item_id": "id", "title": "name", "price": "price"}
    ground.tree["items"] = {"path": "items.csv", "columns": columns}


def items_with_titles_of_all_sorts(ground: Ground) -> None:
    ground.rows()
    ground.tree["limits"] = {**ground.tree.get("limits", {}), "min_known_items": 0}
    items = pa.table({"id": ["i00", "i01"], "name": [{"en": "Lamp"}, None], "price": ["a lot", "-1"]})
    path = ground.table(items, "items.parquet")
    ground.source["path"] = "rows.csv"
    ground.tree["items"] = {"path": path.name, "columns": {"item_id": "id", "title": "name", "price": "price"}}

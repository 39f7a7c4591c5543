"""Faults of catalog files: YAML that is none, that would run something, or that says what cannot be."""

from typing import Any

import yaml

from tests.corpus.ground import TREE, Ground

SAID = yaml.safe_dump(TREE)


def _set(ground: Ground, *path: str, value: Any) -> None:
    ground.rows()
    node: Any = ground.tree
    for key in path[:-1]:
        node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
    node[path[-1]] = value


def empty(ground: Ground) -> None:
    ground.text = ""


def a_list(ground: Ground) -> None:
    ground.text = "- 1\n"


def no_yaml(ground: Ground) -> None:
    ground.text = "sources: ["


def tabs(ground: Ground) -> None:
    ground.text = "sources:\n\t- path: rows.csv\n"


def two_documents(ground: Ground) -> None:
    ground.text = f"{SAID}---\n{SAID}"


def utf_16(ground: Ground) -> None:
    ground.text = SAID.encode("utf-16")


def latin_1(ground: Ground) -> None:
    ground.text = b"description: caf\xe9\n" + SAID.encode()


def nul_bytes(ground: Ground) -> None:
    ground.text = SAID.encode() + b"\0"


def key_twice(ground: Ground) -> None:
    ground.text = SAID + "holdout_days: 7\n"


def key_twice_further_in(ground: Ground) -> None:
    ground.text = SAID.replace("factors: 4", "factors: 4\n  factors: 8")


def key_that_is_a_list(ground: Ground) -> None:
    ground.text = SAID + "? [a, b]\n: c\n"


def key_that_is_a_number(ground: Ground) -> None:
    ground.text = SAID + "7: c\n"


def date_that_never_was(ground: Ground) -> None:
    ground.text = SAID + "description: 2025-02-30\n"


def date_where_text_is_due(ground: Ground) -> None:
    ground.text = SAID + "description: 2025-02-28\n"


def integer_of_5000_digits(ground: Ground) -> None:
    ground.text = SAID + f"seed: {'9' * 5000}\n"


def nested_5000_deep(ground: Ground) -> None:
    ground.text = SAID + f"description: {'[' * 5000}{']' * 5000}\n"


def alias_bomb(ground: Ground) -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
    ground.text = "\n".join(["l0: &l0 [x]", *levels, "description: *l9", SAID])


def alias_of_itself(ground: Ground) -> None:
    ground.text = SAID + "kinds: &kinds {purchase: *kinds}\n"


def alias_of_nothing(ground: Ground) -> None:
    ground.text = SAID + "description: *nothing\n"


def tag_that_runs_a_command(ground: Ground) -> None:
    ground.text = SAID + f"description: !!python/object/apply:os.system ['touch {ground.outside}/sentinel']\n"


def tag_that_opens_a_file(ground: Ground) -> None:
    ground.text = SAID + f"description: !!python/object/new:open ['{ground.outside}/sentinel', 'w']\n"


def tag_that_names_a_module(ground: Ground) -> None:
    ground.text = SAID + "description: !!python/module:antigravity\n"


def tag_of_binary_that_is_none(ground: Ground) -> None:
    ground.text = SAID + "description: !!binary 'x'\n"


def tag_of_a_number_that_is_none(ground: Ground) -> None:
    ground.text = SAID + "seed: !!int ''\n"


def name_of_its_own(ground: Ground) -> None:
    _set(ground, "name", value="other")


def name_that_is_none(ground: Ground) -> None:
    ground.rows()
    ground.name = "Bad-Name"


def name_that_postgres_keeps(ground: Ground) -> None:
    ground.rows()
    ground.name = "pg_shop"


def name_that_leaves_the_folder(ground: Ground) -> None:
    ground.rows()
    ground.name = "../catalogs/shop"


def unknown_key(ground: Ground) -> None:
    _set(ground, "top_m", value={})


def unknown_key_of_the_model(ground: Ground) -> None:
    _set(ground, "model", "factor", value=8)


def unknown_key_of_a_source(ground: Ground) -> None:
    _set(ground, "sources", "0", "columns", "userid", value="user")


def key_missing(ground: Ground) -> None:
    _set(ground, "sources", "0", "columns", value={"user_id": "user", "item_id": "item"})


def nothing_to_read(ground: Ground) -> None:
    _set(ground, "sources", value=[])


def text_where_a_number_is_due(ground: Ground) -> None:
    _set(ground, "top_n", "stored", value="many")


def switch_where_a_number_is_due(ground: Ground) -> None:
    _set(ground, "seed", value=True)


def map_where_a_list_is_due(ground: Ground) -> None:
    _set(ground, "sources", value={"path": "rows.csv"})


def no_factors(ground: Ground) -> None:
    _set(ground, "model", "factors", value=0)


def a_million_factors(ground: Ground) -> None:
    _set(ground, "model", "factors", value=1_000_000)


def share_above_one(ground: Ground) -> None:
    _set(ground, "limits", "max_rejected_share", value=10)


def share_that_is_no_number(ground: Ground) -> None:
    _set(ground, "limits", "max_rejected_share", value=float("nan"))


def half_life_of_nothing(ground: Ground) -> None:
    _set(ground, "recency", "half_life_days", value=0)


def half_life_without_end(ground: Ground) -> None:
    _set(ground, "recency", "half_life_days", value=float("inf"))


def holdout_of_no_days(ground: Ground) -> None:
    _set(ground, "holdout_days", value=0)


def holdout_longer_than_time(ground: Ground) -> None:
    _set(ground, "holdout_days", value=1e12)


def seed_beyond_32_bits(ground: Ground) -> None:
    _set(ground, "seed", value=2**32)


def more_served_than_stored(ground: Ground) -> None:
    _set(ground, "top_n", value={"stored": 5, "served": 6})


def kind_that_weighs_nothing(ground: Ground) -> None:
    _set(ground, "kinds", value={"view": 0})


def unknown_timezone(ground: Ground) -> None:
    _set(ground, "sources", "0", "time", value={"timezone": "Europe/Lindon"})


def timezone_that_is_a_path(ground: Ground) -> None:
    _set(ground, "sources", "0", "time", value={"timezone": "../../../etc/passwd"})


def cron_that_is_none(ground: Ground) -> None:
    _set(ground, "schedule", value={"cron": "61 25 * * *"})


def asset_without_a_deadline(ground: Ground) -> None:
    _set(ground, "schedule", value={"asset": "purchases"})


def cron_and_asset(ground: Ground) -> None:
    _set(ground, "schedule", value={"cron": "0 3 * * *", "asset": "purchases", "deadline": "0 5 * * *"})


def pattern_that_is_none(ground: Ground) -> None:
    _set(ground, "sources", "0", "where", value={"tests": {"column": "user", "matches": "(test"}})


def pattern_that_looks_ahead(ground: Ground) -> None:
    _set(ground, "sources", "0", "where", value={"tests": {"column": "user", "matches": "(?=test)"}})


def pattern_that_would_take_for_ever(ground: Ground) -> None:
    _set(ground, "sources", "0", "where", value={"tests": {"column": "user", "matches": r"^(x+x+)+y$"}})
    ground.rows({"user": "x" * 200})


def rule_with_two_conditions(ground: Ground) -> None:
    _set(ground, "sources", "0", "where", value={"tests": {"column": "user", "matches": "t", "equals": "t"}})


def rating_without_a_column(ground: Ground) -> None:
    _set(ground, "sources", "0", "rating_to_weight", value={3: 1})
    del ground.source["columns"]["weight"]


def delimiter_of_two_signs(ground: Ground) -> None:
    _set(ground, "sources", "0", "delimiter", value="||")


def path_and_sql(ground: Ground) -> None:
    _set(ground, "sources", "0", "sql", value="select 1")


def sql_without_a_connection(ground: Ground) -> None:
    _set(ground, "sources", value=[{"sql": "select 1", "columns": TREE["sources"][0]["columns"]}])


def _asked(ground: Ground, sql: str, **settings: str) -> None:
    columns = TREE["sources"][0]["columns"]
    _set(ground, "sources", value=[{"sql": sql, "connection": "shop", "columns": columns}])
    ground.settings = settings


def connection_not_set(ground: Ground) -> None:
    _asked(ground, "select 1")


def connection_that_is_no_address(ground: Ground) -> None:
    _asked(ground, "select 1", RECJOBS_CONNECTION_SHOP="hunter2 is no url")


def two_statements(ground: Ground) -> None:
    _asked(ground, "select 1; drop table top_n", RECJOBS_CONNECTION_SHOP="postgresql://nobody@127.0.0.1:1/x")


def path_to_the_web(ground: Ground) -> None:
    _set(ground, "sources", "0", "path", value="https://example.com/rows.csv")


def bucket_without_a_name(ground: Ground) -> None:
    _set(ground, "sources", "0", "path", value="s3:///rows.csv")


def path_with_nul(ground: Ground) -> None:
    _set(ground, "sources", "0", "path", value="rows\0.csv")


def path_that_is_empty(ground: Ground) -> None:
    _set(ground, "sources", "0", "path", value="")

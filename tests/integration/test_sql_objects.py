"""What the database says of itself, and that its function answers what its views show."""

import pytest

from tests.worlds import World

OBJECTS = """
select c.relname as name, obj_description(c.oid, 'pg_class') as comment
from pg_class as c
where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
    and c.relname !~ 'yoyo'
union all
select p.proname, obj_description(p.oid, 'pg_proc')
from pg_proc as p
where p.pronamespace = current_schema()::regnamespace
union all
select n.nspname, obj_description(n.oid, 'pg_namespace') from pg_namespace as n where n.nspname = current_schema()
union all
select r.rolname, shobj_description(r.oid, 'pg_authid') from pg_roles as r where r.rolname ~ '^recjobs_'
"""


def test_every_schema_table_view_function_and_role_has_a_comment(published: World):
    found = published.rows(OBJECTS, role="admin")
    assert len(found) > 35
    assert [row["name"] for row in found if not (row["comment"] or "").strip()] == []
    assert {"name": published.name, "comment": "A shop for tests"} in found


CONTRACT = {
    "recommendations": "user_id rank item_id score source because batch_id",
    "served_lists": "user_id item_ids scores sources because batch_id computed_at",
    "similar_items": "item_id rank similar_item_id score batch_id",
    "again_items": "user_id rank item_id score batch_id",
    "together_items": "item_id rank together_item_id score batch_id",
    "popular_items": "segment rank item_id score batch_id",
    "batches": "batch_id as_of published_at is_live n_users n_items n_interactions model_version input_hash checksum"
    " pruned_at max_age_hours verb",
    "promotions": "batch_id decided_at verdict reason metric candidate champion baseline_name baseline"
    " diff diff_low diff_high n_users cutoff as_of lift strongest smallest_rise inconclusive checks kept_batch approval"
    " approved_by approved_at approval_reason model_version in_charge_from in_charge_until",
    "champions": "model_version in_charge_from in_charge_until how batch_id reason actor approval approved_by",
    "evaluations": "batch_id model segment view metric value low high",
    "findings": "batch_id reason action column_name n_rows example",
    "inputs": "batch_id as_of input_hash state reason n_read n_excluded n_merged n_quarantined n_accepted files places",
    "drift": "batch_id feature value threshold compared_with",
    "rejected": "batch_id source row reason user_id item_id occurred_at weight kind",
    "challengers": "study_id tuned_at as_of data_cutoff recipe base_recipe value base_value n_trials state"
    " decided_batch",
    "items": "item_id title categories price url image available",
    "steps": "batch_id step state started_at ended_at reason",
    "begins": "began_at as_of state reason batch_id run_id",
    "exposure": "batch_id item_id n_lists n_top10",
    "previous_batch": "batch_id as_of computed_at model_version n_users top_n_served ended_by ended_at",
    "previous_lists": "user_id item_ids batch_id",
    "kept_recommendations": "batch_id user_id rank item_id score source",
    "previous_items": "item_id title categories batch_id",
    "segments": "segment n_items batch_id",
    "publish_log": "at action batch_id previous_batch_id reason actor",
}  # fmt: skip


@pytest.mark.parametrize("view", CONTRACT)
def test_a_view_has_the_columns_that_readers_may_rely_on(published: World, view: str):
    columns = published.rows(
        "select column_name from information_schema.columns where table_schema = current_schema() and table_name = %s",
        view,
    )
    assert set(CONTRACT[view].split()) <= {row["column_name"] for row in columns}


LISTED = (
    "select rank, item_id, score, source, batch_id from recommendations where user_id = %s and rank <= %s order by rank"
)


@pytest.mark.parametrize("n", [1, 7, 10, 99])
def test_the_function_answers_what_the_view_shows(published: World, n: int):
    for user in published.rows("select user_id from served_lists order by md5(user_id) limit 20"):
        answer = published.rows("select * from recommend(%s, %s)", user["user_id"], n)
        assert answer == published.rows(LISTED, user["user_id"], n)
    assert len(published.rows("select * from recommend('user001', %s)", n)) == min(n, 10)


def test_the_function_answers_with_the_popular_list_for_a_user_it_does_not_know(published: World):
    popular = published.rows(
        "select rank, item_id, score, 'popular' as source, batch_id from popular_items"
        " where segment = 'all' and rank <= 10 order by rank"
    )
    assert published.rows("select * from recommend('nobody', 99)") == popular
    assert published.rows("select * from recommend('nobody')") == popular
    assert len(published.rows("select * from recommend('nobody', 3)")) == 3


def test_a_user_who_has_everything_is_known_and_gets_nothing(published: World):
    assert published.rows("select * from recommend('everything', 10)") == []


@pytest.mark.parametrize("n", [0, -1])
def test_the_function_answers_nothing_for_no_items(published: World, n: int):
    assert published.rows("select * from recommend('user001', %s)", n) == []
    assert published.rows("select * from recommend('nobody', %s)", n) == []


def test_the_function_takes_a_user_id_as_it_is(published: World):
    for user_id in ("007", "NA", "\\N", "it's", "caf\u00e9", "cafe\u0301"):
        assert published.rows("select * from recommend(%s, 3)", user_id) == published.rows(LISTED, user_id, 3)
    assert {row["source"] for row in published.rows("select * from recommend('0007', 3)")} == {"popular"}


def test_similar_items_never_hold_the_item_itself_nor_one_that_is_not_sold(published: World):
    assert published.value("select count(*) from similar_items where item_id = similar_item_id") == 0
    assert published.value("select count(*) from similar_items where similar_item_id = 'item10'") == 0
    rows = published.rows("select item_id, count(*) as n, max(rank) as last from similar_items group by item_id")
    assert len(rows) == 72
    assert all(row["n"] == row["last"] == 50 for row in rows)

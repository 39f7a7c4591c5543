"""A rule of an open transaction applies from its commit on, to the batch that is live then."""

import json
from typing import Any

from tests.batches import publish
from tests.worlds import World


def test_rules_of_an_open_transaction_hold_for_the_batch_that_becomes_live(empty: World, editor: Any):
    publish(empty, 5)
    empty.rows("update item_records set categories = '{tea}'", role="admin")
    with editor.cursor() as cursor:
        rule = json.dumps({"kind": "block", "category": "tea", "allow_unknown": True})
        cursor.execute("select add_rule(%s)", (rule,))
        live = publish(empty, 6)
        part = empty.value("select partition_name('item_records', %s)", live, role="admin")
        empty.rows(
            f"insert into {part} values (%s, 'i', null, '{{tea}}', null, null, null, true, 1)", live, role="admin"
        )
        editor.commit()
    assert empty.value("select item_ids from served_lists") == []

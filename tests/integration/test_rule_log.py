"""What became of a rule stays on record: who may change rules cannot change that."""

import json

from tests.batches import publish
from tests.checkouts import Checkout

LOG = """
select action, actor, before ->> 'note' as before, after ->> 'note' as after, after ->> 'removed_by' as removed_by
from rule_log order by log_id
"""


def test_an_editor_who_rewrites_a_rule_leaves_what_was_there_and_who_it_was(checkout: Checkout):
    checkout.migrate()
    world = checkout.world
    publish(world, 1)
    rule = {"kind": "block", "item_id": "i", "note": "recalled", "author": "alice", "allow_unknown": True}
    rule_id = world.value("select add_rule(%s)", json.dumps(rule), role="recjobs_editor")
    world.value("select try_rule(%s, 10)", json.dumps(rule), role="recjobs_editor")  # changes nothing
    rewritten = "update rules set note = 'by mistake', removed_at = now(), removed_by = 'bob' where rule_id = %s"
    world.rows(rewritten, rule_id, role="recjobs_editor")
    assert world.rows(LOG) == [
        {"action": "insert", "actor": "recjobs_editor", "before": None, "after": "recalled", "removed_by": None},
        {
            "action": "update",
            "actor": "recjobs_editor",
            "before": "recalled",
            "after": "by mistake",
            "removed_by": "bob",
        },
    ]
    world.rows("delete from rule_records", role="admin")
    assert [row["action"] for row in world.rows(LOG)] == ["insert", "update", "delete"]

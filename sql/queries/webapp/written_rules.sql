-- A row is one item that a rule is about, with the version of the rules; with no rule there is one row without a rule.
select
    w.version, w.rule_id, w.kind, w.item_id, w.category, w.segment, w.place, w.factor, w.at_most, w.starts_at, w.ends_at,
    w.may_be_pinned, w.item_idx
from written_rules as w

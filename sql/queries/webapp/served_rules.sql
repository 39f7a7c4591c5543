-- A row is one rule, with the version of the rules, at most $1 of them; with no rule there is one row without a rule.
select
    r.version, r.rule_id, r.kind, r.item_id, r.category, r.segment, r.place, r.factor, r.at_most, r.starts_at, r.ends_at,
    r.may_be_pinned, r.item_idx, r.categories
from served_rules as r
limit $1

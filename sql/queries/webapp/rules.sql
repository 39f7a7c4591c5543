-- A row is one rule, those that stand before those that were removed, the newest first, at most $1 of them.
select
    r.rule_id, r.kind, r.item_id, (select i.title from items as i where i.item_id = r.item_id) as title, r.category,
    r.segment, r.place, r.factor, r.at_most, r.starts_at, r.ends_at, r.author, r.note, r.created_at, r.removed_at,
    r.removed_by, r.in_force
from rules as r
order by r.removed_at is not null, r.rule_id desc
limit $1

-- A row is one rule, the newest first; removed ones and those that ended only if asked for.
select
    rule_id, kind, item_id, category, segment, place, factor, at_most, starts_at, ends_at, author, note, in_force, created_at,
    removed_at, removed_by
from rules
where %(with_removed)s or (removed_at is null and coalesce(ends_at, 'infinity') > now())
order by rule_id desc

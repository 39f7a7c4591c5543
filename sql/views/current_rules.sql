create or replace view current_rules as
select
    r.rule_id, r.kind, r.item_id, r.category, r.segment, r.place, r.factor, r.at_most, r.hides, r.starts_at,
    coalesce(r.ends_at, 'infinity') as ends_at
from rule_records as r
where r.removed_at is null and coalesce(r.ends_at, 'infinity') > now();
comment on view current_rules is 'A row is one rule that is neither removed nor over; it may not have begun';

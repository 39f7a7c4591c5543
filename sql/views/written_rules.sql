-- Read by web apps of the release before only; `served_rules` has a rule on a category as one row.
create or replace view written_rules as
select
    coalesce((select l.rules_version from live_state as l), w.version) as version, r.rule_id, r.kind, r.item_id, r.category,
    r.segment, r.place, r.factor, r.at_most, r.starts_at,
    nullif(r.ends_at, 'infinity') as ends_at, r.kind = 'pin' and coalesce(i.available, false) as may_be_pinned, i.item_idx
from rule_state as w
left join (
    select
        c.rule_id, c.kind, c.item_id, ''::text collate "C" as category, c.segment, c.place, c.factor, c.at_most, c.starts_at, c.ends_at
    from current_rules as c
    where c.item_id is not null
    union all
    select
        c.rule_id, c.kind, o.item_id, k.category collate "C", c.segment, c.place, c.factor, c.at_most, c.starts_at, c.ends_at
    from item_records as o
    cross join lateral (select distinct u.category from unnest(o.categories) as u (category)) as k
    join current_rules as c on c.item_id is null and coalesce(c.category, k.category) = k.category
    where o.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live')
) as r on true
left join item_records as i
    on r.kind = 'pin' and i.item_id = r.item_id and i.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view written_rules is 'A row is one item that a rule is about, with the version of them all; with no rule there is one row, and no rule in it';

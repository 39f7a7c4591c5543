create or replace view written_rules as
select
    w.version, r.rule_id, r.kind, r.item_id, r.category, r.segment, r.place, r.factor, r.at_most, r.starts_at,
    nullif(r.ends_at, 'infinity') as ends_at, r.kind = 'pin' and coalesce(i.available, false) as may_be_pinned, i.item_idx
from rule_state as w
left join rule_items as r on true
left join item_records as i
    on r.kind = 'pin' and i.item_id = r.item_id and i.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view written_rules is 'A row is one item that a rule is about, with the version of them all; with no rule there is one row, and no rule in it';

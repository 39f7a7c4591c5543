create or replace view served_rules as
select
    l.rules_version as version, r.rule_id, r.kind, r.item_id, r.category, r.segment, r.place, r.factor, r.at_most, r.starts_at,
    nullif(r.ends_at, 'infinity') as ends_at, coalesce(i.available, false) as may_be_pinned, i.item_idx, i.categories
from live_state as l
left join current_rules as r on true
left join item_records as i
    on r.kind = 'pin' and i.item_id = r.item_id and i.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view served_rules is 'A row is one rule that is neither removed nor over, with the version of them all; a row without a rule: there is none. What the web app applies';
comment on column served_rules.may_be_pinned is 'For a pin: whether the live batch has the item, and it is available';
comment on column served_rules.item_idx is 'For a pin: the item''s number in the live batch';
comment on column served_rules.categories is 'For a pin: what the live batch has the item in';

create or replace view popular_items as
select p.segment, r.rank::integer as rank, r.item_id, r.score, p.batch_id, r.source
from popular_lists as p
cross join lateral (
    select p.item_ids, p.scores, array_fill('popular'::text, array[cardinality(p.item_ids)]) as sources
    where not (select w.any_written from rule_state as w where w.slot = 'rules')
    union all
    select o.item_ids, o.scores, o.sources
    from apply_rules(
        p.item_ids, p.scores, array_fill('popular'::text, array[cardinality(p.item_ids)]), null, null,
        case when p.segment like 'segment:%' then substr(p.segment, 9) end, cardinality(p.item_ids), p.segment like 'category:%'
    ) as o
    where (select w.any_written from rule_state as w where w.slot = 'rules')
) as a
cross join lateral unnest(a.item_ids, a.scores, a.sources) with ordinality as r (item_id, score, source, rank)
where p.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view popular_items is 'A row is one popular item of a segment: `all`, `category:<name>`, or `segment:<name>` of the users'' own; by the rules in force';

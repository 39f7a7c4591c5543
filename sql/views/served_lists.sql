-- The pointer is read by an uncorrelated subquery, never a join: it prunes to one partition while the plan runs, and a
-- reader sees either the old batch or the new one, whole. So do all views of lists.
create or replace view served_lists as
select
    t.user_id, a.item_ids, a.scores, a.sources, t.reasons, a.because, t.batch_id, b.computed_at, b.model_version,
    case when a.item_ids = '{}' then 'exhausted' when t.n_model > 0 then t.source when t.n_category > 0 then 'category' else 'popular' end as source,
    b.top_n_served, t.segment
from top_n as t
join batch_records as b on b.batch_id = t.batch_id
cross join lateral (
    select
        array_fill(t.source, array[t.n_model::integer])
        || array_fill('category'::text, array[t.n_category::integer])
        || array_fill('popular'::text, array[cardinality(t.item_ids) - t.n_model - t.n_category]) as sources
) as s
cross join lateral (
    select
        t.item_ids[1:b.top_n_served] as item_ids, t.scores[1:b.top_n_served] as scores,
        s.sources[1:b.top_n_served] as sources, t.because[1:b.top_n_served] as because
    where not (select w.any_written from rule_state as w where w.slot = 'rules')
    union all
    select r.item_ids, r.scores, r.sources, r.because
    from apply_rules(t.item_ids, t.scores, s.sources, t.because, t.user_id, t.segment, b.top_n_served, false) as r
    where (select w.any_written from rule_state as w where w.slot = 'rules')
) as a
where t.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view served_lists is 'A row is one user''s served list, by the rules in force; what the web app reads';
comment on column served_lists.source is 'als, foldin, neighbours, again, category or popular; exhausted: the list has no items, since the user has every one or rules hide the rest';
comment on column served_lists.sources is 'Where each item comes from: als, foldin, neighbours, again, category or popular; pinned or boosted where a rule placed it, its score is then 1/rank';
comment on column served_lists.reasons is 'Items of the user''s history that are a reason for something in the list';
comment on column served_lists.because is 'For each item up to three places in reasons, counted from 1, strongest first: p1 | p2 << 10 | p3 << 20, 0 for none';

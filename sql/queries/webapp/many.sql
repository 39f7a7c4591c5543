-- A row is the list of one of many users ($1), its first $2 items; the row without a user id is the list of those that
-- the live batch does not know, if there are any. The last row is what the batch knows of all items and reasons.
with known as materialized (
    select
        s.user_id, s.batch_id, s.computed_at, s.model_version, s.top_n_served, s.source,
        s.item_ids[1:$2] as item_ids, s.scores[1:$2] as scores, s.sources[1:$2] as sources,
        s.because[1:$2] as because, s.reasons
    from served_lists as s
    where s.user_id = any($1::text[])
),
lists as materialized (
    select * from known
    union all
    select
        null, l.batch_id, l.computed_at, l.model_version, l.top_n_served,
        case when p.item_ids = '{}' then 'exhausted' else 'popular' end, p.item_ids, p.scores, p.sources, null, null
    from live_state as l
    cross join lateral (
        select
            coalesce(array_agg(r.item_id order by r.rank), '{}') as item_ids,
            coalesce(array_agg(r.score order by r.rank), '{}') as scores,
            coalesce(array_agg(r.source order by r.rank), '{}') as sources
        from popular_items as r
        where r.segment = 'all' and r.rank <= least($2, l.top_n_served)
    ) as p
    where exists (select from unnest($1::text[]) as a (user_id) where a.user_id not in (select k.user_id from known as k))
),
shown as (
    select array_agg(distinct e.item_id) as item_ids
    from lists as l
    cross join lateral unnest(l.item_ids || l.reasons) as e (item_id)
)
select l.*, null as known, null as details
from lists as l
union all
select null, null, null, null, null, null, null, null, null, null, null, k.*
from shown as s
cross join item_details(s.item_ids) as k

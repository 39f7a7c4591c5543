-- The one row is the popular list of a segment ($1: `all` or `category:<name>`), its first $2 items, and what the batch
-- knows of them; no row: the live batch has no such segment.
with answer as (
    select
        l.batch_id, l.computed_at, l.model_version, l.top_n_served,
        case when p.item_ids = '{}' then 'exhausted' else 'popular' end as source,
        p.item_ids, p.scores, p.sources, null as because, null as reasons
    from live_state as l
    cross join lateral (
        select
            coalesce(array_agg(r.item_id order by r.rank), '{}') as item_ids,
            coalesce(array_agg(r.score order by r.rank), '{}') as scores,
            coalesce(array_agg(r.source order by r.rank), '{}') as sources
        from popular_items as r
        where r.segment = $1 and r.rank <= least($2, l.top_n_served)
    ) as p
    where exists (select from segments as s where s.segment = $1)
)
select a.*, k.*
from answer as a
cross join item_details(a.item_ids) as k

-- The one row is the list for a basket of items ($1), its first $2 items, and what the batch knows of them.
with answer as (
    select
        coalesce(array_agg(r.item_id order by r.rank), '{}') as item_ids,
        coalesce(array_agg(r.score order by r.rank), '{}') as scores,
        coalesce(array_agg(r.source order by r.rank), '{}') as sources
    from basket($1, $2) as r
)
select
    b.batch_id, b.computed_at, b.model_version, b.top_n_served,
    case when a.item_ids = '{}' then 'exhausted' when 'similar' = any(a.sources) then 'similar' else 'popular' end as source,
    a.item_ids, a.scores, a.sources, null as because, null as reasons,
    k.*
from batches as b
cross join answer as a
cross join item_details(a.item_ids) as k
where b.is_live

-- The one row is the list of items that a user ($1) is likely to need again, its first $2, and what the batch knows of them.
with answer as (
    select
        coalesce(array_agg(r.item_id order by r.rank), '{}') as item_ids,
        coalesce(array_agg(r.score order by r.rank), '{}') as scores
    from again($1, $2) as r
)
select
    b.batch_id, b.computed_at, b.model_version, b.top_n_served, 'again' as source,
    a.item_ids, a.scores, array_fill('again'::text, array[cardinality(a.item_ids)]) as sources, null as because, null as reasons,
    k.*
from batches as b
cross join answer as a
cross join item_details(a.item_ids) as k
where b.is_live

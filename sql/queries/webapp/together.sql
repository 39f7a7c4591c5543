-- The one row is the list of items that are bought together with one ($1), its first $2, and what the batch knows of them and of the one;
-- no row: the live batch has no such item.
with answer as (
    select
        i.batch_id, b.computed_at, b.model_version, b.top_n_served, 'together' as source,
        n.item_ids, n.scores, array_fill('together'::text, array[cardinality(n.item_ids)]) as sources,
        null as because, null as reasons
    from items as i
    join batches as b on b.batch_id = i.batch_id
    cross join lateral (
        select
            coalesce(array_agg(s.together_item_id order by s.rank), '{}') as item_ids,
            coalesce(array_agg(s.score order by s.rank), '{}') as scores
        from together_items as s
        where s.item_id = $1 and s.rank <= least($2, b.top_n_served)
    ) as n
    where i.item_id = $1
)
select a.*, k.*
from answer as a
cross join item_details(a.item_ids || $1) as k

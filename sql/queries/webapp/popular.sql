-- The one row is the popular list of a segment ($1: `all` or `category:<name>`), its first $2 items, and what the batch
-- knows of them; no row: the live batch has no such segment.
with answer as (
    select
        p.batch_id, b.computed_at, b.model_version, b.top_n_served, 'popular' as source,
        array_agg(p.item_id order by p.rank) as item_ids, array_agg(p.score order by p.rank) as scores,
        array_agg(p.source order by p.rank) as sources, null as because, null as reasons
    from popular_items as p
    join batches as b on b.batch_id = p.batch_id
    where p.segment = $1 and p.rank <= least($2, b.top_n_served)
    group by p.batch_id, b.computed_at, b.model_version, b.top_n_served
)
select a.*, k.*
from answer as a
cross join item_details(a.item_ids) as k

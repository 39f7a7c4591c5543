-- The one row is the popular list of a segment ($1: `all` or `category:<name>`), its first $2 items with their
-- titles; no row: the live batch has no such segment.
select
    p.batch_id, b.computed_at, b.model_version, b.top_n_served,
    array_agg(p.item_id order by p.rank) as item_ids, array_agg(p.score order by p.rank) as scores,
    array_agg((select i.title from items as i where i.item_id = p.item_id) order by p.rank) as titles
from popular_items as p
join batches as b on b.batch_id = p.batch_id
where p.segment = $1 and p.rank <= least($2, b.top_n_served)
group by p.batch_id, b.computed_at, b.model_version, b.top_n_served

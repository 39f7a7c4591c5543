-- The one row is an item ($1) with the first $2 items that resemble it; no row: the live batch has no such item.
with neighbours as (
    select array_agg(s.similar_item_id order by s.rank) as item_ids, array_agg(s.score order by s.rank) as scores
    from similar_items as s
    join batches as b on b.batch_id = s.batch_id
    where s.item_id = $1 and s.rank <= least($2, b.top_n_served)
)
select
    i.batch_id, b.computed_at, b.model_version, b.top_n_served, i.title,
    coalesce(n.item_ids, '{}') as item_ids, coalesce(n.scores, '{}') as scores,
    array(
        select (select o.title from items as o where o.item_id = r.item_id)
        from unnest(n.item_ids) with ordinality as r (item_id, rank)
        order by r.rank
    ) as titles
from items as i
join batches as b on b.batch_id = i.batch_id
cross join neighbours as n
where i.item_id = $1

-- The one row is the list that a user ($1) had in the batch that was live before, with titles, and which batch is
-- live now; no row: there was no batch before; null item_ids: it did not know the user. The rules in force are applied
-- to it as they are to the live list, so that what they place or take out is no difference.
select
    p.batch_id, p.as_of, p.ended_at, p.ended_by, (select b.batch_id from batches as b where b.is_live) as live_batch_id,
    l.item_ids,
    array(
        select coalesce(
            (select i.title from items as i where i.item_id = r.item_id),
            (select o.title from previous_items as o where o.item_id = r.item_id)
        )
        from unnest(l.item_ids) with ordinality as r (item_id, rank)
        order by r.rank
    ) as titles
from previous_batch as p
left join lateral (
    select a.item_ids
    from previous_lists as o
    cross join lateral apply_rules(
        o.item_ids, array_fill(0::real, array[cardinality(o.item_ids)]),
        array_fill(''::text, array[cardinality(o.item_ids)]), null, o.user_id,
        (select s.segment from served_lists as s where s.user_id = $1), p.top_n_served, false
    ) as a
    where o.user_id = $1
) as l on true

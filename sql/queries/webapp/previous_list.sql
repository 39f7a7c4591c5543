-- The one row is the list that a user ($1) had in the batch that was live before, with titles, and which batch is
-- live now; no row: there was no batch before; null item_ids: it did not know the user.
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
left join previous_lists as l on l.user_id = $1

create or replace view stored_popular as
select
    p.segment, array_agg(e.item_id order by e.at) as item_ids, array_agg(e.score order by e.at) as scores,
    array_agg(i.item_idx order by e.at) as item_idx, p.batch_id
from popular_lists as p
cross join lateral unnest(p.item_ids, p.scores) with ordinality as e (item_id, score, at)
join item_records as i on i.batch_id = p.batch_id and i.item_id = e.item_id
where p.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live') and i.available
group by p.segment, p.batch_id;
comment on view stored_popular is 'A row is the popular list of a segment as the night made it, before any rule, without items that are not available, and with the items'' numbers';

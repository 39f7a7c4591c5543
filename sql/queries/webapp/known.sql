-- The one row is which batch is live and when it was computed, and what it knows of some items ($1).
select
    (select b.batch_id from batches as b where b.is_live) as batch_id,
    (select b.computed_at from batches as b where b.is_live) as computed_at,
    array_agg(i.item_id) as known, array_agg(i.title) as titles, array_agg(i.url) as urls,
    array_agg(i.image) as images, array_agg(i.price) as prices
from items as i
where i.item_id = any($1)

-- The one row is what the live batch knows of some items ($1), and which batch that is.
select
    max(i.batch_id) as batch_id, array_agg(i.item_id) as known, array_agg(i.title) as titles, array_agg(i.url) as urls,
    array_agg(i.image) as images, array_agg(i.price) as prices
from items as i
where i.item_id = any($1)

-- The one row is which batch is live and when it was computed, and the categories of some of its items ($1), as JSON.
select
    l.batch_id, l.computed_at,
    (select json_object_agg(i.item_id, i.categories)::text from items as i where i.item_id = any($1)) as categories
from live_state as l

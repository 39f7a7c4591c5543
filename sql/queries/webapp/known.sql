-- The one row is which batch is live and when it was computed, and what it knows of some items ($1).
select
    (select b.batch_id from batches as b where b.is_live) as batch_id,
    (select b.computed_at from batches as b where b.is_live) as computed_at,
    k.*
from item_details($1) as k

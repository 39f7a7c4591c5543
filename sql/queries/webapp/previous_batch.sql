-- The one row is the batch that was live before the live one; no row: there is none to compare with.
select p.batch_id, p.as_of, p.ended_at, p.ended_by, (select b.batch_id from batches as b where b.is_live) as live_batch_id
from previous_batch as p

-- The one row is the live batch: when it was published; no row: nothing is published.
select b.published_at
from batches as b
where b.is_live

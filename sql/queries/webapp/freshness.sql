-- The one row is the live batch: when it was published, and how many hours later it is too old (null: never); no row:
-- nothing is published.
select b.published_at, b.max_age_hours
from batches as b
where b.is_live

-- The one row is the live batch: how many hours ago it was published, how old it may become, and whether it is older.
select
    extract(epoch from now() - b.published_at)::float / 3600 as age_hours, b.max_age_hours,
    coalesce(now() - b.published_at > make_interval(secs => b.max_age_hours * 3600), false) as too_old
from batches as b
where b.is_live

-- A row is one attempt at a night of the day of %(as_of)s that this database knows, whether its folder is still there or
-- not: whether its input is recorded, the checksum of its lists if they were published, and whether those were pruned.
select n.batch_id, bool_or(n.is_recorded) as is_recorded, max(n.published) as published, bool_or(n.is_pruned) as is_pruned
from (
    select i.batch_id, i.as_of, true as is_recorded, null as published, false as is_pruned from inputs as i
    union all
    select b.batch_id, b.as_of, false, case when b.published_at is not null then b.checksum end, b.pruned_at is not null
    from batches as b
) as n
where n.as_of >= date_trunc('day', %(as_of)s, 'UTC') and n.as_of < date_trunc('day', %(as_of)s, 'UTC') + interval '1 day'
group by n.batch_id

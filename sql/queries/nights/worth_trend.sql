-- A row is the share that one list hit in one of the last 30 nights that measured it, oldest first; without %(batch)s.
select w.as_of, w.list, w.share, w.low, w.high
from worth as w
where w.view = %(view)s and w.segment = 'all' and w.k = 20 and w.list in ('live', 'popular') and w.batch_id <> %(batch)s
    and w.as_of >= coalesce(
        (
            select min(n.as_of)
            from (
                select distinct p.as_of from worth as p
                where p.view = %(view)s and p.batch_id <> %(batch)s order by p.as_of desc limit 29
            ) as n
        ),
        '-infinity'
    )
order by w.as_of, w.batch_id, w.list

-- The one row is the night that a run of the scheduler began last, whether it was published, and whether it is over.
select
    n.batch_id,
    exists (select from batches as b where b.batch_id = n.batch_id and b.published_at is not null) as is_published,
    exists (select from steps as s where s.batch_id = n.batch_id and s.step = 'report' and s.state = 'done') as is_reported
from begins as n
where n.run_id = %(run_id)s and n.batch_id is not null
order by n.began_at desc
limit 1

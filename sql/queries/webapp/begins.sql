-- A row is one try to begin a night that failed, after the latest one that did not; the newest first, at most $1 of them.
select b.began_at, b.as_of, b.state, b.reason
from begins as b
where b.state <> 'done'
    and b.began_at > coalesce((select max(d.began_at) from begins as d where d.state = 'done'), '-infinity')
order by b.began_at desc
limit $1

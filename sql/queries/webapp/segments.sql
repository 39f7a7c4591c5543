-- A row is one segment that has a popular list, `all` left out, those with most items first, at most $1 of them.
select s.segment
from segments as s
where s.segment <> 'all'
order by s.n_items desc, s.segment
limit $1

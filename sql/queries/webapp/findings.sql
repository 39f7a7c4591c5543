-- A row is one rule that rows of the given nights' input ($1) broke, the newest night and the most rows first.
select f.batch_id, f.reason, f.action, f.column_name, f.n_rows, f.example
from findings as f
where f.batch_id = any($1::text[])
order by f.batch_id desc, f.n_rows desc, f.reason

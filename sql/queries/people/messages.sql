-- A row is one text of this catalog that may give user ids as examples: the first of its table, its batch, and which one.
select 'finding_records' as of, f.batch_id, f.reason as what, f.example as text
from finding_records as f
where f.example like '%%such as %%' and position(%(user_id)s in f.example) > 0
union all
select 'step_records', s.batch_id, s.step, s.reason
from step_records as s
where s.reason like '%%such as %%' and position(%(user_id)s in s.reason) > 0
order by 1, 2, 3

-- A row is one text of this catalog that may give user ids as examples: the first of its table, its batch, and which one.
select 'finding_records' as of, f.batch_id, f.reason as what, f.example as text
from finding_records as f
where f.example is not null
union all
select 'step_records', s.batch_id, s.step, s.reason
from step_records as s
where s.reason is not null
union all
select 'begin_records', b.batch_id, b.begin_id::text, b.reason
from begin_records as b
where b.reason is not null
order by 1, 2, 3

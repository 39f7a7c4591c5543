-- A row is one step that is noted as running and began within a day: an older one is what a killed process left behind.
select s.batch_id, s.step, s.started_at
from step_records as s
where s.state = 'running' and s.started_at > clock_timestamp() - interval '1 day'
order by s.started_at desc

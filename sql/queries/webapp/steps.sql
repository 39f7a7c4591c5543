-- A row is one step of one of the given nights ($1): running, or how it ended.
select s.batch_id, s.step, s.state, s.started_at, s.ended_at, s.reason
from steps as s
where s.batch_id = any($1::text[])

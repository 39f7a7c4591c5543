create or replace view steps as
select batch_id, step, state, started_at, ended_at
from step_records;
comment on view steps is 'A row is one step of one night: running, or how it ended. A process that was killed has left running behind';

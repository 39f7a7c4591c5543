create or replace view steps as
select batch_id, step, state, started_at, ended_at, reason
from step_records;
comment on view steps is 'A row is one step of one night: running, or how it ended, and why if it stopped. A process that was killed has left running behind';

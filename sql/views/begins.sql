create or replace view begins as
select began_at, as_of, state, reason, batch_id, run_id
from begin_records;
comment on view begins is 'A row is one try to begin a night: done, or why it did not begin';

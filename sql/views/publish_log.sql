create or replace view publish_log as
select log_id, at, action, batch_id, previous_batch_id, model_version, previous_model_version, forced, reason, actor
from publish_records;
comment on view publish_log is 'A row is one change of what is in charge: what, from what, by whom and why';

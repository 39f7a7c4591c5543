-- A row is one change of what is in charge, the newest first, at most $1 of them; pruning is none.
select l.at, l.action, l.batch_id, l.previous_batch_id, l.model_version, l.previous_model_version, l.reason, l.actor
from publish_log as l
where l.action <> 'prune'
order by l.log_id desc
limit $1

create or replace view previous_batch as
select b.batch_id, b.as_of, b.computed_at, b.model_version, b.n_users, b.top_n_served, l.action as ended_by, l.at as ended_at
from publish_records as l
join batch_records as b on b.batch_id = l.previous_batch_id
where b.pruned_at is null
    and l.log_id = (select max(o.log_id) from publish_records as o where o.action in ('publish', 'roll_back'));
comment on view previous_batch is 'The one row is the batch that was live before the live one, and what ended that; no row: there was none, or its lists are gone';

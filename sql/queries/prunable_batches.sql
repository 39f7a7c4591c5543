-- A row is one batch whose lists may go: all but the latest %(keep)s published ones, the live one, the one whose model is
-- in charge, and those that are being loaded; and every one that an earlier prune left half done.
select b.batch_id
from batch_records as b
where b.batch_id not in (
    select k.batch_id from batch_records as k where k.attached and k.pruned_at is null order by k.as_of desc, k.attempt desc limit %(keep)s
)
and b.batch_id is distinct from (select l.batch_id from live_batch as l where l.slot = 'live')
and b.attached
and (
    b.pruned_at is null
    or exists (select from pg_class as c where c.relnamespace = current_schema()::regnamespace and c.relname = partition_name('top_n', b.batch_id))
    or exists (select from pg_class as c where c.relnamespace = current_schema()::regnamespace and c.relname = partition_name('history_lists', b.batch_id))
)
order by b.as_of, b.attempt

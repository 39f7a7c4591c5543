-- A row is one batch whose lists may go: published, and neither live, nor what a roll-back goes to, nor among the latest
-- %(keep)s; or attached an hour ago and never published; or left half done by an earlier prune.
select b.batch_id
from batch_records as b
where b.batch_id not in (
    select k.batch_id from batch_records as k where k.published_at is not null and k.pruned_at is null order by k.as_of desc, k.attempt desc limit %(keep)s
)
and b.batch_id is distinct from (select l.batch_id from live_batch as l where l.slot = 'live')
and b.batch_id is distinct from (select (earlier_live_batches())[1])
and b.attached
and (b.published_at is not null or b.staged_at < now() - interval '1 hour')
and (
    b.pruned_at is null
    or exists (
        select
        from unnest(array['top_n', 'similar_lists', 'popular_lists', 'item_records', 'history_lists']) as t (name)
        join pg_class as c on c.relnamespace = current_schema()::regnamespace and c.relname = partition_name(t.name, b.batch_id)
    )
)
order by b.as_of, b.attempt

-- A row is one list table of a batch that still exists, and whether it is attached.
select
    t.name as parent,
    partition_name(t.name, %(batch_id)s) as partition,
    i.inhrelid is not null as attached,
    coalesce(i.inhdetachpending, false) as detach_pending
from unnest(array['top_n', 'similar_lists', 'popular_lists', 'item_records', 'history_lists']) as t (name)
join pg_class as c on c.relnamespace = current_schema()::regnamespace and c.relname = partition_name(t.name, %(batch_id)s)
left join pg_inherits as i on i.inhrelid = c.oid

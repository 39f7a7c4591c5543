-- The one row: the batch counts as pruned, and the log says so once; no row: it has become live meanwhile.
with marked as (
    update batch_records set pruned_at = clock_timestamp()
    where batch_id = %(batch_id)s and pruned_at is null
        and batch_id is distinct from (select l.batch_id from live_batch as l where l.slot = 'live')
    returning batch_id
),
noted as (
    insert into publish_records (action, batch_id) select 'prune', batch_id from marked
)
select batch_id from marked
union all
select batch_id from batch_records where batch_id = %(batch_id)s and pruned_at is not null

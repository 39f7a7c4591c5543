-- No row of use: the batch counts as pruned from now on, and the log says so once.
with marked as (
    update batch_records set pruned_at = clock_timestamp() where batch_id = %(batch_id)s and pruned_at is null returning batch_id
)
insert into publish_records (action, batch_id) select 'prune', batch_id from marked

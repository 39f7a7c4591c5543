-- No row of use: the batch gets its primary keys and statistics, and is closed to writers.
select seal_batch(%(batch_id)s)

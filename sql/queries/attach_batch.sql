-- No row of use: readers' plans know the batch from now on, though nothing points to it yet.
select attach_batch(%(batch_id)s, %(pinned_champion)s, %(forced)s)

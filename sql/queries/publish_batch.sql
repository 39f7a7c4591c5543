-- The one row says whether the pointer moved (false: the batch was live already).
select publish_batch(%(batch_id)s, %(pinned_champion)s, %(forced)s, %(reason)s) as moved

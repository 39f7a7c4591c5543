-- The one row is the batch that is live now.
select roll_back(%(batch_id)s, %(reason)s) as batch_id

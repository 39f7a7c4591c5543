-- No row of use: in how many lists of a loaded batch each item is served, and among the first ten.
select record_exposure(%(batch_id)s, %(counts)s::jsonb)

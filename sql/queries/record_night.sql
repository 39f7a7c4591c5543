-- No row of use: the night's verdict and metrics are stored beside its batch.
select record_night(%(batch_id)s, %(promotion)s::jsonb, %(metrics)s::jsonb)

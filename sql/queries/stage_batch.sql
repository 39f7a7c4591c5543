-- The one row says whether the batch's tables were made (staged) or it was published before (published).
select stage_batch(%(record)s::jsonb) as state

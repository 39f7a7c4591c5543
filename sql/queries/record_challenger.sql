-- The one row says whether the challenger is new.
select record_challenger(%(challenger)s::jsonb) as recorded

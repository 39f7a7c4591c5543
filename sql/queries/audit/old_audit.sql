-- The one row is how many entries of the audit are too old.
select count(*) as n from public.audit where at < clock_timestamp() - make_interval(days => greatest(%(days)s, 30))

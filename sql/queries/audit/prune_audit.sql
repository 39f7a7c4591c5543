-- The one row is how many entries of the audit were too old, and are gone.
select public.prune_audit(%(days)s) as n

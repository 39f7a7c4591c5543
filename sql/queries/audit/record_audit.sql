-- The one row is true once an entry is in the audit.
select public.record_audit(%(entry)s::jsonb) is null as done

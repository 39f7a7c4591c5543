-- The one row is when the oldest entry of the audit was made.
select min(at) as oldest from public.audit

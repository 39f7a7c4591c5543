-- A row is one of a table of schema public, if it has any.
select true as used from public.{table} limit 1

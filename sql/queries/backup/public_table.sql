-- A row is a table of schema public, if it is there.
select c.relname::text as name
from pg_catalog.pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relname = %(name)s and c.relkind = 'r'

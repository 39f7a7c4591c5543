-- A row is one catalog this reader may use: its schema and the schema's comment. Known by a table, which every release
-- has: where a view is missing, the catalog is not migrated, and is there all the same.
select n.nspname::text as catalog, coalesce(obj_description(n.oid, 'pg_namespace'), '') as description
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relname = 'live_batch' and c.relkind = 'r'
    and n.nspname ~ '^[a-z][a-z0-9_]{0,47}$'
    and has_schema_privilege(n.oid, 'usage')
order by n.nspname

-- A row is one catalog this reader may read: its schema and the schema's comment.
select n.nspname::text as catalog, coalesce(obj_description(n.oid, 'pg_namespace'), '') as description
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relname = 'served_lists' and c.relkind = 'v'
    and n.nspname ~ '^[a-z][a-z0-9_]{0,47}$'
    and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
order by n.nspname

-- A row is one catalog's schema, with or without a file in catalogs/.
select n.nspname::text as catalog
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relname = 'served_lists' and c.relkind = 'v' and n.nspname ~ '^[a-z][a-z0-9_]{0,47}$'
    and pg_get_userbyid(n.nspowner) = 'recjobs_owner'
order by n.nspname

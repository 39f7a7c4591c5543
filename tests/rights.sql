-- A row is one right that a role has in the current schema or its database, in words.
with asked as (
    select %s::name as role
),
relations as (
    select c.oid, case when c.relispartition then 'a loaded table' else c.relname end as name
    from pg_class as c
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
),
rights (what) as (
    values ('select'), ('insert'), ('update'), ('delete'), ('truncate'), ('references'), ('trigger'), ('maintain')
)
select r.what || ' ' || t.name as may
from asked, relations as t, rights as r
where has_table_privilege(role, t.oid, r.what)
union
select r.what || ' ' || t.name || '.' || a.attname
from asked, relations as t, rights as r, pg_attribute as a
where r.what in ('select', 'insert', 'update', 'references')
    and has_any_column_privilege(role, t.oid, r.what) and not has_table_privilege(role, t.oid, r.what)
    and a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and has_column_privilege(role, t.oid, a.attnum, r.what)
union
select 'usage of ' || c.relname
from asked, pg_class as c
where c.relnamespace = current_schema()::regnamespace and c.relkind = 'S' and has_sequence_privilege(role, c.oid, 'usage')
union
select 'execute ' || p.proname
from asked, pg_proc as p
where p.pronamespace = current_schema()::regnamespace and has_function_privilege(role, p.oid, 'execute')
union
select r.what || ' of ' || case s.name when 'public' then 'schema public' else 'the schema' end
from asked, (values ('usage'), ('create')) as r (what), (values (current_schema()::text), ('public')) as s (name)
where has_schema_privilege(role, s.name, r.what)
union
select r.what || ' to the database'
from asked, (values ('connect'), ('create'), ('temporary')) as r (what)
where has_database_privilege(role, current_database(), r.what)
union
-- What locks, writes or signals. Slots and statistics ask for more rights than to execute.
select 'execute pg_catalog.' || p.proname
from asked, pg_proc as p
where p.pronamespace = 'pg_catalog'::regnamespace and has_function_privilege(role, p.oid, 'execute')
    and p.proname ~ 'advisory|^lo_|^lo(read|write)$|_backend$|_conf$|_logfile$|notify$|_message$|_promote|export_|_wal$|restore_point|backup_st|stat_reset|current_xact_id$|txid_current$|backend_memory'
    and p.proname !~ '^pg_stat_get_'

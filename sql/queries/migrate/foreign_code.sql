-- A row is one function, operator or table of yoyo's name in schema public that belongs to a role with fewer rights: neither
-- a superuser nor who migrates.
select f.object, r.rolname as owner
from (
    select p.oid::regprocedure::text as object, p.proowner as owner from pg_proc as p where p.pronamespace = to_regnamespace('public')
    union all
    select o.oid::regoperator::text, o.oprowner from pg_operator as o where o.oprnamespace = to_regnamespace('public')
    union all
    select c.oid::regclass::text, c.relowner
    from pg_class as c
    where c.relnamespace = to_regnamespace('public') and c.relname in ('_yoyo_log', '_yoyo_migration', '_yoyo_migrations', '_yoyo_version', 'yoyo_lock', 'applied_migrations')
    union all
    select 'the schema itself', n.nspowner
    from pg_namespace as n
    where n.nspname = 'public' and n.nspowner <> (select d.datdba from pg_database as d where d.datname = current_database())
) as f
join pg_roles as r on r.oid = f.owner
where not r.rolsuper and r.rolname <> current_user and r.rolname <> 'pg_database_owner'
order by 1

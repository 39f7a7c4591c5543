-- A row is one function, view or column of a view in the current schema: what it is, what it says, and who may use it.
select
    p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' as name,
    pg_get_function_result(p.oid) as type,
    replace(pg_get_functiondef(p.oid), '{schema}', '') as definition,
    obj_description(p.oid, 'pg_proc') as comment,
    array(select a::text from unnest(p.proacl) as a order by 1) as rights
from pg_proc as p
where p.pronamespace = current_schema()::regnamespace
union all
select
    c.relname, 'view', replace(pg_get_viewdef(c.oid), '{schema}', ''), obj_description(c.oid, 'pg_class'),
    array(select a::text from unnest(c.relacl) as a order by 1)
from pg_class as c
where c.relnamespace = current_schema()::regnamespace and c.relkind = 'v'
union all
select
    c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod), a.attnum::text, col_description(c.oid, a.attnum),
    array(select r::text from unnest(a.attacl) as r order by 1)
from pg_class as c
join pg_attribute as a on a.attrelid = c.oid
where c.relnamespace = current_schema()::regnamespace and c.relkind = 'v'
order by 1

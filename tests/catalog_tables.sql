-- A row is one column, constraint or trigger of a table in the current schema that is not of a single batch, nor yoyo's.
with tables as (
    select c.oid, c.relname
    from pg_class as c
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and c.relname !~ 'yoyo|_[0-9]{8}t[0-9]{6}z_[0-9]+$'
)
select
    t.relname as "table", a.attname as what,
    concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)) as definition
from tables as t
join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef as d on d.adrelid = t.oid and d.adnum = a.attnum
union all
select t.relname, 'constraint', replace(pg_get_constraintdef(c.oid), '{schema}', '')
from tables as t
join pg_constraint as c on c.conrelid = t.oid
union all
select t.relname, g.tgname, replace(pg_get_triggerdef(g.oid), '{schema}', '')
from tables as t
join pg_trigger as g on g.tgrelid = t.oid and not g.tgisinternal
order by 1, 2, 3

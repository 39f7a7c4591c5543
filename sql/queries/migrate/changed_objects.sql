-- A row is one object whose text, of %(texts)s with %(objects)s as hashes, is not the one that this catalog had last, or that
-- is not there (or has no comment, or is a function with another body: is lost). It is older if a later text has replaced it, or if the catalog has
-- a migration that is not among %(migrations)s.
with objects as (
    select
        o.key as name,
        o.value as sha256,
        o.value is not distinct from (select a.sha256 from applied_objects as a where a.name = o.key order by a.applied_at desc limit 1)
        and case split_part(o.key, '/', 1)
            when 'functions' then not exists (
                select from pg_proc as p
                where p.pronamespace = current_schema()::regnamespace and p.proname = split_part(o.key, '/', 2)
                    and position(p.prosrc in %(texts)s::jsonb ->> o.key) > 0 and obj_description(p.oid, 'pg_proc') is not null
            )
            when 'views' then obj_description(to_regclass(quote_ident(split_part(o.key, '/', 2))), 'pg_class') is null
            else false
        end as is_lost
    from jsonb_each_text(%(objects)s::jsonb) as o
)
select
    o.name, o.is_lost,
    not o.is_lost and exists (select from applied_objects as a where a.name = o.name and a.sha256 = o.sha256)
    or exists (select from _yoyo_migration as m where not %(migrations)s::jsonb ? m.migration_id) as is_older
from objects as o
where o.is_lost
    or o.sha256 is distinct from (select a.sha256 from applied_objects as a where a.name = o.name order by a.applied_at desc limit 1)

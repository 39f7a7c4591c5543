-- A row is one view of another schema that reads this one's: dropping the schema would drop it as well.
select distinct r.ev_class::regclass::text as name
from pg_depend as d
join pg_rewrite as r on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
join pg_class as v on v.oid = r.ev_class
where v.relnamespace <> current_schema()::regnamespace
    and (
        d.refclassid = 'pg_class'::regclass
        and d.refobjid in (select c.oid from pg_class as c where c.relnamespace = current_schema()::regnamespace)
        or d.refclassid = 'pg_proc'::regclass
        and d.refobjid in (select p.oid from pg_proc as p where p.pronamespace = current_schema()::regnamespace)
    )
order by 1

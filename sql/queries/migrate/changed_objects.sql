-- A row is one object whose text, by the hashes of %(objects)s, is not the one that this catalog had last. It is older if
-- a later text has replaced it, or if the catalog has a migration that is not among %(migrations)s.
select
    o.key as name,
    exists (select from applied_objects as a where a.name = o.key and a.sha256 = o.value)
    or exists (select from _yoyo_migration as m where not %(migrations)s::jsonb ? m.migration_id) as is_older
from jsonb_each_text(%(objects)s::jsonb) as o
where o.value is distinct from (
    select a.sha256 from applied_objects as a where a.name = o.key order by a.applied_at desc limit 1
)

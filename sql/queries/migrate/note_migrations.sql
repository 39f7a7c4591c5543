-- No row: the applied ones among these migrations, %(hashes)s with their hashes, are noted where they were not.
insert into applied_migrations (migration_id, sha256)
select m.migration_id, h.value
from _yoyo_migration as m
join jsonb_each_text(%(hashes)s::jsonb) as h on h.key = m.migration_id
on conflict (migration_id) do nothing

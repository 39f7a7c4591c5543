-- No row: these texts of objects, %(objects)s with their hashes, were applied to this catalog.
insert into applied_objects (name, sha256)
select o.key, o.value from jsonb_each_text(%(objects)s::jsonb) as o
on conflict (name, sha256) do update set applied_at = clock_timestamp()

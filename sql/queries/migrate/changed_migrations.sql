-- A row is one migration that was applied with another text than it has now, by the hashes of %(hashes)s.
select a.migration_id
from applied_migrations as a
join jsonb_each_text(%(hashes)s::jsonb) as h on h.key = a.migration_id
where a.sha256 <> h.value
order by a.migration_id

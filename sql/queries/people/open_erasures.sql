-- A row is one erasure that has begun and has not ended.
select o.person, o.about, o.held, o.is_blocking, o.tables_done, e.salt
from open_erasures as o
join erased_people as e using (person)
order by e.since, o.person

-- A row is a person whom nights leave out; no row: they do not.
select e.since, e.salt from erased_people as e where e.person = %(person)s

-- A row is one person whom nights leave out, by the salted hash of the user id.
select e.person, e.salt, e.since from erased_people as e order by e.since, e.person

-- No row: a person who was erased after the back-up that was restored is left out, and is to be erased again.
with left_out as (
    insert into erased_people (person, salt) values (%(person)s, %(salt)s) on conflict (person) do nothing
    returning person
),
logged as (
    insert into erasure_records (action, person) select 'begun', l.person from left_out as l
)
insert into open_erasures (person) select l.person from left_out as l

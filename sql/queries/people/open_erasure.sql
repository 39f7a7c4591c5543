-- No row: from now on nights leave a person out, and no step begins until the files are done. Begun again, it goes on.
with left_out as (
    insert into erased_people (person, salt) values (%(person)s, %(salt)s) on conflict (person) do nothing
),
logged as (
    insert into erasure_records (action, person) values ('begun', %(person)s)
)
insert into open_erasures (person, about, held) values (%(person)s, %(about)s, %(held)s)
on conflict (person) do update set is_blocking = true, about = coalesce(excluded.about, open_erasures.about)

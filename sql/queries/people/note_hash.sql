-- No row: what a checksum of before becomes.
insert into erasure_hashes (person, old, new) values (%(person)s, %(old)s, %(new)s)
on conflict (person, old) do update set new = excluded.new

-- The one row is the entry that proves it. The user id and the checksums from before are forgotten.
with forgotten as (
    delete from erasure_hashes where person = %(person)s
),
ended as (
    delete from open_erasures where person = %(person)s
)
insert into erasure_records (action, person, receipt) values (%(action)s, %(person)s, %(receipt)s)
returning log_id, at

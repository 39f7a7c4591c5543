-- The one row is the salt of this catalog's hashes of user ids.
select s.salt from erasure_salt as s

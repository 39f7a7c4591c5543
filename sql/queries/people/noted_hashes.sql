-- A row is one checksum that an erasure changes.
select h.old, h.new from erasure_hashes as h where h.person = %(person)s

-- No row: why a night did not begin, in other words.
update begin_records set reason = %(text)s where begin_id = %(what)s::bigint

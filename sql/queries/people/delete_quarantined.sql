-- A row is one quarantined row of a user id, as it is or in quotes or blanks.
delete from rejected_records
where user_id = %(user_id)s or btrim(user_id, E' \t\r\n"''') = btrim(%(user_id)s, E' \t\r\n"''')
returning 1 as n

-- A row is one row that was about a user id.
delete from {table} where user_id = %(user_id)s returning 1 as n

-- A row is one user id of a table.
select distinct t.user_id from {table} as t where t.user_id is not null

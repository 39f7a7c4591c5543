-- A row is one row of a table about one user id, as JSON.
select to_jsonb(t) as row from {table} as t where t.user_id = %(user_id)s

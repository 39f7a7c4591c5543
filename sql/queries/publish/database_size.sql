-- The one row is how many bytes the database takes.
select pg_database_size(current_database()) as bytes

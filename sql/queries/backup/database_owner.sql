-- A row is the role that this database belongs to.
select pg_get_userbyid(d.datdba) as owner from pg_catalog.pg_database as d where d.datname = current_database()

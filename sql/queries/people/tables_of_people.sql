-- A row is one table of this catalog that holds user ids, of a single batch or of all, attached or not.
select c.relname as name, regexp_replace(c.relname, '_[0-9]{8}t[0-9]{6}z_[0-9]+$', '') as kind
from pg_class as c
join pg_attribute as a on a.attrelid = c.oid and a.attname = 'user_id' and not a.attisdropped
where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
order by c.relname

-- The one row is how many bytes the lists of the batch %(batch_id)s take in this schema, with their indexes.
select coalesce(sum(pg_total_relation_size(t.oid)), 0)::bigint as bytes
from pg_class as t
where t.relnamespace = current_schema()::regnamespace
    and t.relkind = 'r'
    and t.relname like '%%\_' || lower(replace(%(batch_id)s, '-', '\_'))

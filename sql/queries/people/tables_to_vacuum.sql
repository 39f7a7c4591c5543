-- A row is one table of this catalog that has held user ids, or a partitioned one of which there are statistics.
select c.relname as name
from pg_class as c
where c.relnamespace = current_schema()::regnamespace
    and (
        (c.relkind = 'r' and c.relname in ('finding_records', 'step_records', 'begin_records', 'report_records', 'batch_records', 'open_erasures'))
        or exists (
            select from pg_attribute as a
            where a.attrelid = c.oid and a.attname = 'user_id' and not a.attisdropped
                and (c.relkind = 'r' or (c.relkind = 'p' and exists (
                    select from pg_stats as s where s.schemaname = current_schema() and s.tablename = c.relname
                )))
        )
    )
order by c.relname

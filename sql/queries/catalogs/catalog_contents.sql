-- The one row is what a catalog's schema holds: bytes, batches whose lists are kept, the live one, and rules that apply.
select
    (
        select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
        from pg_class as c
        where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'm')
    ) as bytes,
    (select count(*) from batch_records as b where b.attached and b.pruned_at is null) as batches,
    (select l.batch_id from live_batch as l where l.slot = 'live') as live,
    (select count(*) from rule_records as r where r.removed_at is null) as rules

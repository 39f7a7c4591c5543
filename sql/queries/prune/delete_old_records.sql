-- The one row is how many rows of a table went: of nights before the latest %(nights)s, but for batches whose lists are kept.
with gone as (
    delete from {table} as r
    where r.batch_id < (select i.batch_id from input_records as i order by i.batch_id desc offset %(nights)s - 1 limit 1)
        and r.batch_id not in (select b.batch_id from batch_records as b where b.published_at is not null and b.pruned_at is null)
    returning 1
)
select count(*) as n from gone

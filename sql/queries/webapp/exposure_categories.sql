-- A row is one category with its share of all first-ten places, now and in the batch before, the greatest change
-- first, at most $1 of them. An item counts for the first of its categories.
with places as (
    select i.categories[1] as category, e.n_top10 as now, 0 as before
    from exposure as e
    join items as i on i.item_id = e.item_id
    where e.batch_id = (select b.batch_id from batches as b where b.is_live)
    union all
    select i.categories[1], 0, e.n_top10
    from exposure as e
    join previous_items as i on i.item_id = e.item_id
    where e.batch_id = (select p.batch_id from previous_batch as p)
),
shares as (
    select
        category,
        (sum(now) / greatest(sum(sum(now)) over (), 1))::float8 as share,
        (sum(before) / greatest(sum(sum(before)) over (), 1))::float8 as share_before
    from places
    group by category
)
select category, share, share_before
from shares
where category is not null
order by abs(share - share_before) desc, category
limit $1

-- A row is one item that is among the first ten of more ($1 = 1) or fewer ($1 = -1) lists than in the batch before, the one
-- that moved most first, at most $2 of them.
-- Counts are per 1,000 lists, so that a shop that grew does not look like a gain.
with lists as (
    select
        greatest((select b.n_users from batches as b where b.is_live), 1) / 1000.0 as now,
        greatest((select p.n_users from previous_batch as p), 1) / 1000.0 as before
),
counts as (
    select
        item_id,
        coalesce(new.n_lists, 0) / (select l.now from lists as l) as now,
        coalesce(old.n_lists, 0) / (select l.before from lists as l) as was,
        coalesce(new.n_top10, 0) / (select l.now from lists as l) as now_top10,
        coalesce(old.n_top10, 0) / (select l.before from lists as l) as was_top10
    from (select * from exposure as e where e.batch_id = (select b.batch_id from batches as b where b.is_live)) as new
    full join (select * from exposure as e where e.batch_id = (select p.batch_id from previous_batch as p)) as old using (item_id)
),
most as (
    select * from counts as c
    where $1 * (c.now_top10 - c.was_top10) > 0
    order by $1 * (c.now_top10 - c.was_top10) desc, c.item_id
    limit $2
)
select
    m.item_id, coalesce(i.title, o.title) as title, (coalesce(i.categories, o.categories))[1] as category,
    m.now::float8 as now, m.was::float8 as was, m.now_top10::float8 as now_top10, m.was_top10::float8 as was_top10
from most as m
left join items as i on i.item_id = m.item_id
left join previous_items as o on o.item_id = m.item_id
order by $1 * (m.now_top10 - m.was_top10) desc, m.item_id

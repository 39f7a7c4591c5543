-- A row is the list of one of many users ($1), its first $2 items; the row without a user id is the list of those that
-- the live batch does not know, if there are any. The last row is what the batch knows of all items and reasons.
with known as materialized (
    select
        s.user_id, s.batch_id, s.computed_at, s.model_version, s.top_n_served, s.source,
        s.item_ids[1:$2] as item_ids, s.scores[1:$2] as scores, s.sources[1:$2] as sources,
        s.because[1:$2] as because, s.reasons
    from served_lists as s
    where s.user_id = any($1::text[])
),
lists as materialized (
    select * from known
    union all
    select
        null, p.batch_id, b.computed_at, b.model_version, b.top_n_served, 'popular',
        array_agg(p.item_id order by p.rank), array_agg(p.score order by p.rank), array_agg(p.source order by p.rank),
        null, null
    from popular_items as p
    join batches as b on b.batch_id = p.batch_id
    where p.segment = 'all' and p.rank <= least($2, b.top_n_served)
        and exists (select from unnest($1::text[]) as a (user_id) where a.user_id not in (select k.user_id from known as k))
    group by p.batch_id, b.computed_at, b.model_version, b.top_n_served
),
shown as (
    select array_agg(distinct e.item_id) as item_ids
    from lists as l
    cross join lateral unnest(l.item_ids || l.reasons) as e (item_id)
)
select l.*, null as known, null as details
from lists as l
union all
select null, null, null, null, null, null, null, null, null, null, null, k.*
from shown as s
cross join item_details(s.item_ids) as k

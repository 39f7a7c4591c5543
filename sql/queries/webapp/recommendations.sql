-- The one row is the list of a user ($1), its first $2 items with their titles: the user's own list, or the popular
-- one for a user the live batch does not know. One statement, so that both are read from one snapshot.
with known as (
    select
        s.batch_id, s.computed_at, s.model_version, s.top_n_served, s.source,
        s.item_ids[1:$2] as item_ids, s.scores[1:$2] as scores, s.sources[1:$2] as sources
    from served_lists as s
    where s.user_id = $1
),
answer as (
    select * from known
    union all
    select
        p.batch_id, b.computed_at, b.model_version, b.top_n_served, 'popular',
        array_agg(p.item_id order by p.rank), array_agg(p.score order by p.rank),
        array_agg(p.source order by p.rank)
    from popular_items as p
    join batches as b on b.batch_id = p.batch_id
    where p.segment = 'all' and p.rank <= least($2, b.top_n_served) and not exists (select from known)
    group by p.batch_id, b.computed_at, b.model_version, b.top_n_served
)
select
    a.batch_id, a.computed_at, a.model_version, a.top_n_served, a.source, a.item_ids, a.scores, a.sources,
    array(
        select (select i.title from items as i where i.item_id = r.item_id)
        from unnest(a.item_ids) with ordinality as r (item_id, rank)
        order by r.rank
    ) as titles
from answer as a

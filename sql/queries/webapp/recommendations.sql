-- The one row is the list of a user ($1), its first $2 items, and what the batch knows of them and of their reasons: the
-- user's own list, or the popular one for a user the live batch does not know. One statement, so one snapshot.
with known as (
    select
        s.batch_id, s.computed_at, s.model_version, s.top_n_served, s.source,
        s.item_ids[1:$2] as item_ids, s.scores[1:$2] as scores, s.sources[1:$2] as sources,
        s.because[1:$2] as because, s.reasons
    from served_lists as s
    where s.user_id = $1
),
answer as (
    select * from known
    union all
    select
        p.batch_id, b.computed_at, b.model_version, b.top_n_served, 'popular',
        array_agg(p.item_id order by p.rank), array_agg(p.score order by p.rank), array_agg(p.source order by p.rank),
        null, null
    from popular_items as p
    join batches as b on b.batch_id = p.batch_id
    where p.segment = 'all' and p.rank <= least($2, b.top_n_served) and not exists (select from known)
    group by p.batch_id, b.computed_at, b.model_version, b.top_n_served
)
select a.*, k.*
from answer as a
cross join lateral (
    select a.item_ids || case
        when cardinality(a.reasons) > 60 then array(  -- many more than the first items have: theirs only
            select a.reasons[b.packed & 1023] from unnest(a.because) as b (packed)
            union select a.reasons[b.packed >> 10 & 1023] from unnest(a.because) as b (packed)
            union select a.reasons[b.packed >> 20] from unnest(a.because) as b (packed)
        )
        else a.reasons
    end as item_ids
) as shown
cross join item_details(shown.item_ids) as k

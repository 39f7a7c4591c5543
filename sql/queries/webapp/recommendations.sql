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
        l.batch_id, l.computed_at, l.model_version, l.top_n_served,
        case when p.item_ids = '{}' then 'exhausted' else 'popular' end, p.item_ids, p.scores, p.sources, null, null
    from live_state as l
    cross join lateral (
        select
            coalesce(array_agg(r.item_id order by r.rank), '{}') as item_ids,
            coalesce(array_agg(r.score order by r.rank), '{}') as scores,
            coalesce(array_agg(r.source order by r.rank), '{}') as sources
        from popular_items as r
        where r.segment = 'all' and r.rank <= least($2, l.top_n_served)
    ) as p
    where not exists (select from known)
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

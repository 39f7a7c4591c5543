-- The one row is a user's ($1) own list, its first $2 items, and what the batch knows of them and of their reasons; no row:
-- the live batch does not know the user, and `recommendations` has the answer. What that one prepares for strangers
-- costs every list a sixth of its time (p10 of 300 us, with a million lists in the last of five batches).
with answer as materialized (
    select
        s.batch_id, s.computed_at, s.model_version, s.top_n_served, s.source,
        s.item_ids[1:$2] as item_ids, s.scores[1:$2] as scores, s.sources[1:$2] as sources,
        s.because[1:$2] as because, s.reasons
    from served_lists as s
    where s.user_id = $1
)
select a.*, k.*
from answer as a
cross join lateral (
    select
        array_agg(i.item_id) as known, array_agg(i.title) as titles, array_agg(i.url) as urls,
        array_agg(i.image) as images, array_agg(i.price) as prices
    from items as i
    where i.item_id = any(
        a.item_ids || case
            when cardinality(a.reasons) > 60 then array(  -- many more than the first items have: theirs only
                select a.reasons[b.packed & 1023] from unnest(a.because) as b (packed)
                union select a.reasons[b.packed >> 10 & 1023] from unnest(a.because) as b (packed)
                union select a.reasons[b.packed >> 20] from unnest(a.because) as b (packed)
            )
            else a.reasons
        end
    )
) as k

-- The one row is the list of a user ($1) without some items ($4), or of one category only ($5), $2 items after the first
-- $3, and what the batch knows of them; categories ($6) come first for a user it does not know.
with listed as materialized (
    select * from recommend_narrowed($1, $2, $3, $4, $5, $6)
),
answer as (
    select
        coalesce(array_agg(r.item_id order by r.rank), '{}') as item_ids,
        coalesce(array_agg(r.score order by r.rank), '{}') as scores,
        coalesce(array_agg(r.source order by r.rank), '{}') as sources,
        coalesce(jsonb_agg(to_jsonb(r.because) order by r.rank), '[]') as because,
        array(select e.reason from listed as l cross join lateral unnest(l.because) as e (reason)) as reasons
    from listed as r
)
select
    b.batch_id, b.computed_at, b.model_version, b.top_n_served,
    case
        -- an empty page of a list that has others is not the end of it
        when a.item_ids = '{}' and ($3 = 0 or not exists (select from recommend_narrowed($1, 1, 0, $4, $5, $6))) then 'exhausted'
        else coalesce(
            (select s.source from stored_lists as s where s.user_id = $1),
            case when 'category' = any(a.sources) then 'category' else 'popular' end
        )
    end as source,
    a.item_ids, a.scores, a.sources, a.because, a.reasons,
    k.*
from batches as b
cross join answer as a
cross join item_details(a.item_ids || a.reasons) as k
where b.is_live

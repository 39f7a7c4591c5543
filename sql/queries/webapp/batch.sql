-- The one row is one night ($1) with the gate's verdict; no row: it made no batch and has no verdict. A reason that names
-- the person who decided is left out, as in `batches`.
select
    n.batch_id, coalesce(b.is_live, false) as is_live,
    coalesce(b.as_of, p.as_of, to_timestamp(left(n.batch_id, 15), 'YYYYMMDD"T"HH24MISS')) as as_of,
    b.model_version, b.computed_at, b.published_at, b.rolled_back_at, b.pruned_at, b.n_users, b.n_items, b.n_interactions,
    b.top_n_served, p.verdict,
    case when p.approved_by is null then p.reason end as reason, p.approval, p.kept_batch,
    b.code_version, p.cutoff, p.n_users as n_holdout_users, p.metric, p.candidate, p.champion, p.diff, p.diff_low,
    p.diff_high, p.baseline_name, p.baseline, p.lift, p.lift_low, p.lift_high, p.inconclusive, p.checks
from (
    select b.batch_id from batches as b where b.batch_id = $1
    union
    select p.batch_id from promotions as p where p.batch_id = $1
) as n
left join batches as b on b.batch_id = n.batch_id
left join promotions as p on p.batch_id = n.batch_id

-- A row is one night, the newest first, at most $1 of them: what it read, the gate's verdict and what became of it.
with nights as (
    select u.batch_id
    from (
        select i.batch_id from inputs as i
        union
        select p.batch_id from promotions as p
        union
        select b.batch_id from batches as b
        union
        select s.batch_id from steps as s
    ) as u
    order by left(u.batch_id, 16) desc, substr(u.batch_id, 18)::integer desc
    limit $1
)
select
    n.batch_id, coalesce(b.as_of, i.as_of, p.as_of, to_timestamp(left(n.batch_id, 15), 'YYYYMMDD"T"HH24MISS')) as as_of,
    i.state as input_state, i.reason as input_reason, i.n_accepted, i.n_quarantined,
    p.verdict, p.reason, p.metric, p.candidate, p.champion, p.baseline, p.baseline_name, p.lift, p.kept_batch,
    b.model_version, b.published_at, b.is_live, b.rolled_back_at, b.pruned_at, b.n_users,
    exists (select from reports as r where r.batch_id = n.batch_id) as has_report
from nights as n
left join inputs as i on i.batch_id = n.batch_id
left join promotions as p on p.batch_id = n.batch_id
left join batches as b on b.batch_id = n.batch_id
order by left(n.batch_id, 16) desc, substr(n.batch_id, 18)::integer desc

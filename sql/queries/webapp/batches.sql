-- A row is one night that made a batch or has a verdict, the newest first, at most $1 after the first $2; with how many
-- there are. A null batch_id: none is left. A reason that names the person who decided is left out.
with nights as (
    select b.batch_id from batches as b
    union
    select p.batch_id from promotions as p
)
select
    (select count(*) from nights) as total,
    n.batch_id, coalesce(b.is_live, false) as is_live,
    coalesce(b.as_of, p.as_of, to_timestamp(left(n.batch_id, 15), 'YYYYMMDD"T"HH24MISS')) as as_of,
    b.model_version, b.computed_at, b.published_at, b.rolled_back_at, b.pruned_at, b.n_users, b.n_items, b.n_interactions,
    b.top_n_served, p.verdict,
    case when p.approved_by is null then p.reason end as reason, p.approval, p.kept_batch
from (select 1) as always
left join lateral (
    select u.batch_id
    from nights as u
    order by left(u.batch_id, 16) desc, substr(u.batch_id, 18)::integer desc
    limit $1 offset $2
) as n on true
left join batches as b on b.batch_id = n.batch_id
left join promotions as p on p.batch_id = n.batch_id
order by left(n.batch_id, 16) desc, substr(n.batch_id, 18)::integer desc

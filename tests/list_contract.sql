-- A row is one list that breaks the contract of a batch, and the rule it breaks. Knows nothing of how lists are made:
-- `accepted` (user_id, item_id) are the interactions that the batch may know of, `eligible` (item_id) the items that may
-- be shown; both are filled by the test from the files that it wrote itself.
with lists as (
    select t.user_id, t.item_ids, t.scores, t.source, t.n_model, t.n_category, t.reasons, t.because from top_n as t where t.batch_id = %(batch_id)s
),
entries as (
    select
        l.user_id, r.item_id, r.score, r.rank,
        case
            when r.rank <= l.n_model then l.source when r.rank <= l.n_model + l.n_category then 'category' else 'popular'
        end as source
    from lists as l
    cross join lateral unnest(l.item_ids, l.scores) with ordinality as r (item_id, score, rank)
),
users as (
    select distinct user_id from accepted
),
expected as (
    select a.user_id, (select count(*) from eligible) - count(e.item_id) as n
    from (select distinct user_id, item_id from accepted) as a
    left join eligible as e using (item_id)
    group by a.user_id
)
select 'user without a list' as rule, x.user_id from expected as x where x.user_id not in (select user_id from lists)
union all
select 'list of an unknown user', l.user_id from lists as l where l.user_id not in (select user_id from users)
union all
select 'two lists', l.user_id from lists as l group by l.user_id having count(*) > 1
union all
select 'wrong length', x.user_id
from expected as x join lists as l using (user_id)
where cardinality(l.item_ids) <> least(x.n, %(stored)s) or cardinality(l.scores) <> cardinality(l.item_ids)
union all
select 'item twice', e.user_id from entries as e group by e.user_id, e.item_id having count(*) > 1
union all
select 'unknown or ineligible item', e.user_id from entries as e where e.item_id not in (select item_id from eligible)
union all
select 'seen item', e.user_id from entries as e join accepted as a using (user_id, item_id)
union all
select 'score not finite', e.user_id
from entries as e where e.score is null or e.score in ('NaN', 'Infinity', '-Infinity')
union all
select 'rising score', s.user_id
from (
    select e.user_id, e.score, lag(e.score) over (partition by e.user_id, e.source order by e.rank) as before
    from entries as e
) as s
where s.score > s.before
union all
select 'reason that the user has not taken', l.user_id
from lists as l
where exists (
    select from unnest(l.reasons) as r (item_id)
    where not exists (select from accepted as a where a.user_id = l.user_id and a.item_id = r.item_id)
)
union all
select 'reasons do not match the items', l.user_id
from lists as l
where (l.reasons is null) <> (l.because is null) or cardinality(l.because) <> cardinality(l.item_ids)
    or exists (
        select from unnest(l.because) with ordinality as r (packed, rank)
        where greatest(r.packed & 1023, (r.packed >> 10) & 1023, r.packed >> 20) > cardinality(l.reasons)
            or (r.packed <> 0 and r.rank > l.n_model)
    )
union all
select 'item of the model without a reason', l.user_id
from lists as l
where exists (
    select from generate_series(1, least(l.n_model, 3)) as r (rank) where l.scores[r.rank] > 0 and coalesce(l.because[r.rank], 0) = 0
)
order by 1, 2

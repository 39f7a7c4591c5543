-- The one row is where and why the latest try at a night stopped; no row: it runs, or ended well.
with tries as (
    select b.began_at as at, b.batch_id, 'begin' as step, b.state, b.reason
    from begins as b
    union all
    select coalesce(s.ended_at, s.started_at), s.batch_id, s.step, s.state, s.reason
    from steps as s
),
latest as (
    select t.at, t.batch_id, t.step, t.state, t.reason
    from tries as t
    order by t.at desc
    limit 1
)
select l.at, l.batch_id, l.step, l.state, l.reason
from latest as l
where l.state in ('refused', 'skipped', 'waiting', 'failed')

-- A row is when a catalog last changed: a night that began or ended a step, a publish, a roll-back, a promotion, a rule, a
-- prune. Without any, null.
select max(c.at) as changed_at
from (
    select max(b.began_at) as at from begin_records as b
    union all
    select max(greatest(s.started_at, s.ended_at)) from step_records as s
    union all
    select max(p.at) from publish_records as p
    union all
    select max(d.decided_at) from promotion_records as d
    union all
    select max(l.at) from rule_log_records as l
    union all
    select max(h.tuned_at) from challenger_records as h
    union all
    select max(greatest(b.staged_at, b.published_at, b.rolled_back_at, b.pruned_at)) from batch_records as b
) as c

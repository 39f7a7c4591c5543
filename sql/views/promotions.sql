create or replace view promotions as
select
    p.batch_id, p.decided_at, p.verdict, p.reason, p.metric, p.candidate, p.champion, p.baseline_name, p.baseline,
    p.diff, p.diff_low, p.diff_high, p.n_users, p.cutoff,
    coalesce(p.as_of, b.as_of) as as_of, p.lift, p.lift_low, p.lift_high, p.strongest, p.smallest_drop, p.smallest_rise,
    p.inconclusive, p.checks, p.kept_batch, p.approval, p.approved_by, p.approved_at, p.approval_reason,
    charge.model_version, charge.in_charge_from, charge.in_charge_until, p.measured_batch, p.measured_since
from promotion_records as p
left join batch_records as b using (batch_id)
left join (
    select
        c.model_version, min(c.in_charge_from) as in_charge_from,
        nullif(max(coalesce(c.in_charge_until, 'infinity')), 'infinity') as in_charge_until
    from champions as c
    group by c.model_version
) as charge on p.verdict = 'promoted' and charge.model_version = b.champion_version;
comment on view promotions is 'A row is one verdict of the gate: candidate against champion and baselines, who was asked, and when its model was in charge';
comment on column promotions.checks is 'What was asked of the candidate: name, passed, value, bound and a sentence each';
comment on column promotions.kept_batch is 'The live batch that a refused night left in place (gate.on_refused: keep); null: the night made lists of its own';
comment on column promotions.in_charge_until is 'When the model of a promoted candidate last ceased to be the champion; null: it is, or never was (see in_charge_from)';
comment on column promotions.measured_batch is 'The batch, live when the night began, whose lists were held against the interactions since measured_since; see the view worth';

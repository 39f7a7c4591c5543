-- What was in charge, from when to when and why; and verdicts of nights that left the live batch where it was, which
-- have no batch: nothing but their id refers to one.

alter table promotion_records drop constraint promotion_records_batch_id_fkey;
alter table evaluation_records drop constraint evaluation_records_batch_id_fkey;
alter table promotion_records
    add column as_of timestamptz,
    add column lift double precision,
    add column lift_low double precision,
    add column lift_high double precision,
    add column strongest text,
    add column smallest_drop double precision,
    add column smallest_rise double precision,
    add column inconclusive boolean,
    add column checks jsonb,
    add column kept_batch text collate "C",
    add column approval text check (approval in ('approved', 'refused', 'timed out')),
    add column approved_by text,
    add column approved_at timestamptz,
    add column approval_reason text;

comment on function record_night(text, jsonb, jsonb) is 'Store a night''s verdict and metrics, whether it made a batch or left the live one where it was';

create view champions as
select
    c.model_version, c.in_charge_from, c.in_charge_until, c.how, c.batch_id,
    case when c.how = 'publish' then concat_ws('; ', p.reason, 'forced: ' || c.reason) else c.reason end as reason,
    c.actor, p.approval, p.approved_by
from (
    select
        l.model_version, l.at as in_charge_from, lead(l.at) over (order by l.log_id) as in_charge_until,
        l.action as how, l.batch_id, l.reason, l.actor, l.log_id
    from publish_records as l
    where l.action <> 'prune' and l.model_version is distinct from l.previous_model_version
) as c
left join promotion_records as p on p.batch_id = c.batch_id and c.how = 'publish'
where c.model_version is not null;
comment on view champions is 'A row is a model in charge, from when until when (null: still), and why: published by the gate''s verdict, or by whom it was rolled back to or promoted';
comment on column champions.how is 'publish: by the night of batch_id; roll_back: with batch_id, by hand; promote: alone, by hand';

create or replace view promotions as
select
    p.batch_id, p.decided_at, p.verdict, p.reason, p.metric, p.candidate, p.champion, p.baseline_name, p.baseline,
    p.diff, p.diff_low, p.diff_high, p.n_users, p.cutoff,
    coalesce(p.as_of, b.as_of) as as_of, p.lift, p.lift_low, p.lift_high, p.strongest, p.smallest_drop, p.smallest_rise,
    p.inconclusive, p.checks, p.kept_batch, p.approval, p.approved_by, p.approved_at, p.approval_reason,
    charge.model_version, charge.in_charge_from, charge.in_charge_until
from promotion_records as p
left join batch_records as b using (batch_id)
left join lateral (
    select
        c.model_version, min(c.in_charge_from) as in_charge_from,
        nullif(max(coalesce(c.in_charge_until, 'infinity')), 'infinity') as in_charge_until
    from champions as c
    where p.verdict = 'promoted' and c.model_version = b.champion_version
    group by c.model_version
) as charge on true;
comment on view promotions is 'A row is one verdict of the gate: candidate against champion and baselines, who was asked, and when its model was in charge';
comment on column promotions.checks is 'What was asked of the candidate: name, passed, value, bound and a sentence each';
comment on column promotions.kept_batch is 'The live batch that a refused night left in place (gate.on_refused: keep); null: the night made lists of its own';
comment on column promotions.in_charge_until is 'When the model of a promoted candidate last ceased to be the champion; null: it is, or never was (see in_charge_from)';

grant select on champions to recjobs_reader;

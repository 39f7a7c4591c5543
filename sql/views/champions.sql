create or replace view champions as
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

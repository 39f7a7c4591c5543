create or replace view live_state as
select
    b.batch_id, b.computed_at, b.model_version, b.top_n_served, w.any_written as has_rules,
    w.version # hashtextextended(b.batch_id, 0) as rules_version
from live_batch as l
join batch_records as b on b.batch_id = l.batch_id
cross join rule_state as w
where l.slot = 'live';
comment on view live_state is 'The one row is the live batch and the version of the rules, which changes with every rule and with the batch; no row: nothing is published';

-- The one row is the list of a user ($1) before the rules: its first $2 items, or all if there are rules; with the version
-- of the rules, the clock, and (if $3) what is kept out of the list. No row: the live batch does not know the user.
select
    s.batch_id, s.computed_at, s.model_version, s.top_n_served, s.source, s.model_source, s.n_model, s.n_category,
    case when s.has_rules then s.item_ids else s.item_ids[1:$2] end as item_ids,
    case when s.has_rules then s.scores else s.scores[1:$2] end as scores,
    case when s.has_rules then s.because else s.because[1:$2] end as because,
    s.reasons, s.segment, s.rules_version, s.has_rules, now() as now,
    case when $3 then (select k.item_idx from kept_out as k where k.user_id = $1) end as kept_out
from stored_lists as s
where s.user_id = $1

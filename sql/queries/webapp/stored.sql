-- The one row is what is in charge, the list of a user ($1) before the rules (its first $2 items, or all if there are
-- rules; nulls: the live batch does not know the user), the version of the rules, and if there are any the clock. No row:
-- nothing is published. Few columns, nearly all text, as each costs the client a quarter of a microsecond.
select
    l.batch_id || '|' || l.top_n_served || '|' || l.computed_at || '|' || coalesce(l.model_version, '') as live,
    s.source || '|' || s.model_source || '|' || s.n_model || '|' || s.n_category || '|' || coalesce(s.segment, '') as made,
    cast(case when l.has_rules then s.item_ids else s.item_ids[1:$2] end as text) as item_ids,
    cast(case when l.has_rules then s.scores else s.scores[1:$2] end as text) as scores,
    cast(case when l.has_rules then s.because else s.because[1:$2] end as text) as because,
    cast(s.reasons as text) as reasons,
    l.rules_version, case when l.has_rules then now() end as now
from live_state as l
left join stored_lists as s on s.user_id = $1

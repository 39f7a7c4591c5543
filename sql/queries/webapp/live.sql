-- The one row is the live batch of the catalog; no row: nothing is published yet.
select
    b.batch_id, b.as_of, b.computed_at, b.model_version, b.n_users, b.n_items, b.n_interactions, b.top_n_served,
    exists (select from reports as r where r.batch_id = b.batch_id) as has_report,
    b.published_at,
    coalesce(now() - b.published_at > make_interval(secs => b.max_age_hours * 3600), false) as too_old,
    b.verb
from batches as b
where b.is_live

create or replace view batches as
select
    b.batch_id, b.as_of, b.computed_at, b.published_at,
    b.batch_id is not distinct from (select l.batch_id from live_batch as l where l.slot = 'live') as is_live,
    b.n_users, b.n_items, b.n_interactions, b.model_version, b.champion_version, b.input_hash, b.checksum,
    b.code_version, b.top_n_stored, b.top_n_served, b.rolled_back_at, b.pruned_at,
    case
        when b.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live')
        then (select max(p.at) from publish_records as p where p.batch_id = b.batch_id and p.action in ('publish', 'roll_back'))
    end as live_since,
    b.max_age_hours, b.verb
from batch_records as b;
comment on view batches is 'A row is one batch that was written; is_live marks the one that is served';
comment on column batches.live_since is 'When the live batch became live, by publishing or rolling back; null for all others';

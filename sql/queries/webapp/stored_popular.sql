-- The one row is the live batch and the popular list, before rules, of the users of a segment ($1, null for none), or of
-- all if the segment has none; nulls: there is neither. Scores are text, as Postgres writes them.
select l.batch_id, l.computed_at, p.item_ids, p.scores::text[] as scores, p.item_idx
from live_state as l
left join lateral (
    select s.item_ids, s.scores, s.item_idx
    from stored_popular as s
    where s.segment in ('segment:' || $1::text, 'all')
    order by s.segment = 'all'
    limit 1
) as p on true

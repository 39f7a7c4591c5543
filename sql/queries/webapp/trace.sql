-- The one row says why an item ($2) is in the served list of a user ($1), or why not; no row: nothing is published yet.
select
    t.batch_id, b.model_version, b.computed_at, (select i.title from items as i where i.item_id = $2) as title,
    t.is_known_user, t.list_length, t.answer, t.rank, t.score, t.source,
    array(
        select coalesce((select i.title from items as i where i.item_id = r.item_id), r.item_id)
        from unnest(t.because) with ordinality as r (item_id, place)
        order by r.place
    ) as because,
    t.because as because_ids,
    t.seen_at, t.seen_before, t.rule_id, t.rule_kind, t.note, t.reason
from trace($1, $2) as t
join batches as b on b.batch_id = t.batch_id

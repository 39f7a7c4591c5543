create or replace view user_history as
select h.user_id, r.rank::integer as rank, r.item_id, r.occurred_at, h.batch_id
from history_lists as h
cross join lateral unnest(h.item_ids, h.occurred_at) with ordinality as r (item_id, occurred_at, rank)
where h.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view user_history is 'A row is one of a user''s latest interactions as of the live batch, newest first';

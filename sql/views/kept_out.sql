create or replace view kept_out as
select h.user_id, h.seen as item_idx, h.batch_id
from history_lists as h
where h.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view kept_out is 'A row is one user with the numbers of the items that are kept out of their list; null: none are, or it is not known, where items have no item_idx: in a batch from before the rules';

-- The one row is the live batch, and the numbers of the items that are kept out of the list of a user ($1), null for none.
select l.batch_id, l.computed_at, k.item_idx
from live_state as l
left join kept_out as k on k.user_id = $1

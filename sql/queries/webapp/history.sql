-- A row is one of the latest interactions of a user ($1), newest first, at most $2 of them.
select h.item_id, h.occurred_at
from user_history as h
where h.user_id = $1
order by h.rank
limit $2

-- A row is one user whose id lies from $1 on and before $2, in byte order, at most $3 of them, with their latest interaction.
select s.user_id, (select max(h.occurred_at) from user_history as h where h.user_id = s.user_id) as last_seen
from served_lists as s
where s.user_id >= $1 and s.user_id < $2
order by s.user_id
limit $3

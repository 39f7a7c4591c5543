-- A row is one user at one of the given places ($1) when user ids are counted from 1 in byte order; $2 is the last
-- of these places, where the counting stops.
select counted.user_id
from (
    select s.user_id, row_number() over (order by s.user_id) as place
    from served_lists as s
    order by s.user_id
    limit $2
) as counted
where counted.place = any($1::bigint[])

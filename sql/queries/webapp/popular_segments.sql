-- A row is one segment that has a popular list and whose name begins with $1, without that beginning, by name, at most $2
-- after the first $3; with the live batch and how many there are. A null segment: none is left; no row: nothing is published.
with named as (
    select substr(s.segment, char_length($1::text) + 1) as segment, s.n_items
    from segments as s
    where starts_with(s.segment, $1::text)
)
select l.batch_id, (select count(*) from named) as total, p.segment, p.n_items
from live_state as l
left join lateral (
    select n.segment, n.n_items from named as n order by n.segment limit $2 offset $3
) as p on true
order by p.segment

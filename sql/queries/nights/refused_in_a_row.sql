-- The one row is how many nights had a verdict since the night whose candidate is the champion.
with charge as (
    select left(c.batch_id, 16) as as_of, substr(c.batch_id, 18)::integer as attempt
    from champion as c
)
select count(distinct left(s.batch_id, 16))::integer as refused_in_a_row
from steps as s
where
    s.step = 'gate' and s.state = 'done'
    and not exists (
        select from charge as c
        where (left(s.batch_id, 16), substr(s.batch_id, 18)::integer) <= (c.as_of, c.attempt)
    )

-- A row is one feature of the given nights' input ($1) that moved further than it should.
select d.batch_id, d.feature, d.value, d.threshold, d.compared_with
from drift as d
where d.batch_id = any($1::text[]) and d.value > d.threshold
order by d.batch_id desc, d.feature

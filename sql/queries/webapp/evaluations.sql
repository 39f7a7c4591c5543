-- A row is one metric of one model on the holdout of a night ($1), with its 95% interval where it has one.
select e.model, e.segment, e.view, e.metric, e.value, e.low, e.high
from evaluations as e
where e.batch_id = $1
order by e.model, e.segment, e.view, e.metric

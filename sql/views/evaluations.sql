create or replace view evaluations as
select batch_id, model, segment, view, metric, value, low, high
from evaluation_records;
comment on view evaluations is 'A row is one metric of one model on one night''s holdout';

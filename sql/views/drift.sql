create or replace view drift as
select batch_id, feature, value, threshold, compared_with
from drift_records;
comment on view drift is 'A row is how far one feature moved between two nights (PSI, or a share), and the threshold';

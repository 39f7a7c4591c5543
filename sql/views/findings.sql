create or replace view findings as
select batch_id, reason, action, column_name, n_rows, example
from finding_records;
comment on view findings is 'A row is one rule that rows of the input broke, and how many';

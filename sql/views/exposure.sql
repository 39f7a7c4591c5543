create or replace view exposure as
select batch_id, item_id, n_lists, n_top10
from exposure_records;
comment on view exposure is 'A row is one item of a batch''s lists as the night made them, before any rule: in how many it is served (n_lists), and among the first ten (n_top10)';

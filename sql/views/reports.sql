create or replace view reports as
select batch_id, html, written_at
from report_records;
comment on view reports is 'A row is the HTML report of one night';

create or replace view rejected as
select batch_id, source, "row", reason, user_id, item_id, occurred_at, weight, kind
from rejected_records;
comment on view rejected is 'A row is one quarantined row of a night''s input; the first thousand of each reason';

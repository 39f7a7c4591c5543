create or replace view segments as
select p.segment, cardinality(p.item_ids) as n_items, p.batch_id
from popular_lists as p
where p.batch_id = (select l.batch_id from live_batch as l where l.slot = 'live');
comment on view segments is 'A row is one segment that has a popular list: `all`, `category:<name>`, or `segment:<name>` of the users'' own';
